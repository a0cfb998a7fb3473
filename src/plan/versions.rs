//! Versions of an installed bundle: which is to be started, and what is written down in which order, so that a power cut between any two
//! writes leaves one that can be.
//!
//! A version is the name of a directory, a number. One that was just installed has a mark until it has shown that it is good.

/// What is written down of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// The one that is started.
    pub current: Option<&'a str>,
    /// The one that is started when that is not good.
    pub previous: Option<&'a str>,
    /// The mark of the current one.
    pub mark: Mark,
}

/// How far a version has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// It is good.
    #[default]
    None,
    /// It was never started.
    Waiting,
    /// It was started, and not good so far.
    Begun,
}

/// What is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// Nothing that was installed.
    Nothing,
    /// This version. With `true` its mark goes: there is no other, so that it cannot be on trial.
    Version(&'a str, bool),
    /// This version, which gets the mark that it was begun before.
    Trial(&'a str),
    /// Not the version `bad`, which was begun and is not good, but `to`; none: what lay there before anything was installed.
    Back {
        #[allow(missing_docs, reason = "said above")]
        bad: &'a str,
        #[allow(missing_docs, reason = "said above")]
        to: Option<&'a str>,
    },
}

/// One thing that is written down; each is done or not, nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// The link to the current version.
    Current(Option<&'a str>),
    /// The link to the previous one.
    Previous(Option<&'a str>),
}

impl<'a> Record<'a> {
    /// The version that can be gone back to.
    pub fn other(&self) -> Option<&'a str> {
        self.previous.filter(|previous| Some(*previous) != self.current)
    }

    /// The version that is known to be good.
    fn good(&self) -> Option<&'a str> {
        if self.mark == Mark::None { self.current } else { self.other() }
    }

    /// What is to be started now. `has_own`: the bundle is also there without being installed.
    pub fn start(&self, has_own: bool) -> Start<'a> {
        let Some(current) = self.current else { return Start::Nothing };
        let other = self.other();
        match self.mark {
            Mark::None => Start::Version(current, false),
            _ if other.is_none() && !has_own => Start::Version(current, true),
            Mark::Waiting => Start::Trial(current),
            Mark::Begun => Start::Back { bad: current, to: other },
        }
    }

    /// After a new version is there, with its mark: what makes it the current one.
    pub fn switch(&self, new: &'a str) -> [Write<'a>; 2] {
        [Write::Previous(self.good()), Write::Current(Some(new))]
    }

    /// What makes the other the current one, by hand; none if there is no other. A version that was on trial is not gone back to.
    pub fn swap(&self) -> Option<[Write<'a>; 2]> {
        let other = self.other()?;
        let previous = if self.mark == Mark::None { self.current } else { Some(other) };
        Some([Write::Current(Some(other)), Write::Previous(previous)])
    }
}

/// The number of an entry in the directory of a bundle: `12`, `12.trial`, `12.part`. 0 for what is none.
pub fn number_of(name: &str) -> u32 {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    match &name.as_bytes()[digits..] {
        b"" | b".trial" | b".trial~" | b".part" => name[..digits].parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What lies on the disk: versions with their marks, and the links.
    #[derive(Clone, Debug, Default)]
    struct Disk {
        versions: BTreeMap<&'static str, Mark>,
        current: Option<&'static str>,
        previous: Option<&'static str>,
    }

    impl Disk {
        fn record(&self) -> Record<'static> {
            let mark = self.current.map_or(Mark::None, |current| self.versions[current]);
            Record { current: self.current, previous: self.previous, mark }
        }

        fn write(&mut self, write: Write<'static>) {
            match write {
                Write::Current(to) => self.current = to,
                Write::Previous(to) => self.previous = to,
            }
        }

        /// Starts what is to be started; the power is cut before its mark goes. What ran; empty for the bundle's own.
        fn start(&mut self, has_own: bool) -> &'static str {
            match self.record().start(has_own) {
                Start::Nothing => "",
                Start::Version(version, settles) => {
                    if settles {
                        self.versions.insert(version, Mark::None);
                    }
                    version
                }
                Start::Trial(version) => {
                    self.versions.insert(version, Mark::Begun);
                    version
                }
                Start::Back { to, .. } => {
                    self.write(Write::Current(to));
                    to.unwrap_or("")
                }
            }
        }
    }

    const GOOD: Mark = Mark::None;

    fn disk(versions: &[(&'static str, Mark)], current: &'static str, previous: &'static str) -> Disk {
        let link = |name: &'static str| Some(name).filter(|name| !name.is_empty());
        Disk { versions: versions.iter().copied().collect(), current: link(current), previous: link(previous) }
    }

    #[test]
    fn a_new_version_is_tried_once_and_left_if_it_did_not_show_that_it_is_good() {
        let mut disk = disk(&[("1", GOOD), ("2", Mark::Waiting)], "2", "1");
        assert_eq!([disk.start(false), disk.start(false), disk.start(false)], ["2", "1", "1"]);
        assert_eq!((disk.current, disk.record().other()), (Some("1"), None));
    }

    #[test]
    fn the_first_version_is_tried_only_where_there_is_something_to_go_back_to() {
        let first = disk(&[("1", Mark::Waiting)], "1", "");
        let (mut alone, mut beside) = (first.clone(), first);
        assert_eq!([alone.start(false), alone.start(false)], ["1", "1"]);
        assert_eq!(alone.record().mark, GOOD);
        assert_eq!([beside.start(true), beside.start(true), beside.start(true)], ["1", "", ""]);
    }

    /// Power cuts after each write: what is started then is a version that is there, and the next start after a trial is a good one.
    #[test]
    fn a_power_cut_leaves_the_old_or_the_new() {
        let begins = [
            disk(&[], "", ""),
            disk(&[("1", GOOD)], "1", ""),
            disk(&[("1", GOOD), ("2", GOOD)], "2", "1"),
            disk(&[("1", GOOD), ("2", Mark::Waiting)], "2", "1"),
            disk(&[("1", GOOD), ("2", Mark::Begun)], "2", "1"),
            disk(&[("1", GOOD), ("2", Mark::Begun)], "1", "1"),
            disk(&[("2", Mark::Waiting)], "2", ""),
        ];
        for begin in begins {
            for has_own in [false, true] {
                let before = begin.clone().start(has_own);
                let mut new = begin.clone();
                new.versions.insert("3", Mark::Waiting);
                let writes = new.record().switch("3");
                for cut in 0..=writes.len() {
                    let mut disk = new.clone();
                    writes[..cut].iter().for_each(|write| disk.write(*write));
                    let old = [before, begin.current.unwrap_or(""), begin.record().good().unwrap_or("")];
                    let first = disk.start(has_own);
                    assert!(first == "3" || old.contains(&first), "{begin:?} cut {cut}: {first}");
                    let second = disk.start(has_own);
                    assert_eq!(disk.start(has_own), second, "{begin:?} cut {cut}: it has settled");
                    let is_good = second.is_empty() || disk.versions[second] == GOOD;
                    assert!(is_good, "{begin:?} cut {cut}: {second} is not known to be good");
                    assert!(!second.is_empty() || has_own || begin.current.is_none(), "{begin:?} cut {cut}: nothing is left");
                }
            }
        }
    }

    #[test]
    fn going_back_by_hand_changes_both_links_and_forgets_what_was_on_trial() {
        let swapped = |mut disk: Disk, cut: usize| {
            let writes = disk.record().swap().unwrap();
            writes[..cut].iter().for_each(|write| disk.write(*write));
            (disk.current.unwrap(), disk.previous.unwrap())
        };
        let good = disk(&[("1", GOOD), ("2", GOOD)], "2", "1");
        assert_eq!([0, 1, 2].map(|cut| swapped(good.clone(), cut)), [("2", "1"), ("1", "1"), ("1", "2")]);
        assert_eq!(swapped(disk(&[("1", GOOD), ("2", Mark::Begun)], "2", "1"), 2), ("1", "1"));
        assert_eq!(disk(&[("1", GOOD)], "1", "1").record().swap(), None);
        assert_eq!(disk(&[("1", GOOD)], "1", "").record().swap(), None);
    }

    #[test]
    fn entries_that_belong_to_a_version_are_known_by_their_number() {
        assert_eq!(
            ["12", "12.trial", "12.part", "7.trial~", "x", "", "12.x", "current", "99999999999"].map(number_of),
            [12, 12, 12, 7, 0, 0, 0, 0, 0]
        );
    }
}
