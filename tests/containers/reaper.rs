//! Taking the exits of processes, as process 1 has to: of what was started here, and of orphans that nobody else takes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::sys::{self, Outcome};

/// What was started here and how it ended, and whether orphans are taken too.
struct Known {
    ends: BTreeMap<i32, Option<i32>>,
    takes_orphans: bool,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { ends: BTreeMap::new(), takes_orphans: true });

fn known<T>(work: impl FnOnce(&mut Known) -> T) -> Outcome<T> {
    KNOWN.lock().map(|mut known| work(&mut known)).map_err(|why| why.to_string())
}

/// Remembers a process whose end somebody will ask for.
pub fn expect(pid: i32) -> Outcome<()> {
    known(|known| known.ends.insert(pid, None)).map(drop)
}

/// Process 1 may be slow to take orphans; until `true` is said again they stay zombies.
pub fn take_orphans(takes: bool) -> Outcome<()> {
    known(|known| known.takes_orphans = takes)
}

/// The wait status of an expected process, once it has ended.
pub fn end_of(pid: i32) -> Outcome<Option<i32>> {
    if !known(|known| known.takes_orphans)? {
        return Ok(sys::wait(pid, libc::WNOHANG)?.map(|(_, status)| status));
    }
    reap()?;
    known(|known| match known.ends.get(&pid) {
        Some(Some(_)) => known.ends.remove(&pid).flatten(),
        _ => None,
    })
}

/// Takes the exits of all processes that have ended.
pub fn reap() -> Outcome<()> {
    while let Ok(Some((pid, status))) = sys::wait(-1, libc::WNOHANG) {
        known(|known| {
            if let Some(end) = known.ends.get_mut(&pid) {
                *end = Some(status);
            }
        })?;
    }
    Ok(())
}
