//! The kernel command line: the words of it that are ours, and the few that are everybody's (kernel-parameters.txt).

/// What the kernel command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelLine<'a> {
    /// `ocinit.boot=`: the boot configuration, a file or a directory of bundles.
    pub boot: &'a str,
    /// `ocinit.only=`: nothing but these bundles, separated by commas.
    pub only: &'a str,
    /// `ocinit.skip=`: not these.
    pub skip: &'a str,
    /// `ocinit.log=`: console, kmsg or off.
    pub log: &'a str,
    /// `ocinit.debug`.
    pub debug: bool,
    /// `ocinit.watchdog=`: 0 for none, or its time.
    pub watchdog: &'a str,
    /// `ocinit.shell`, with or without a terminal; `single`, `S`, `rescue`, `emergency`.
    pub shell: Option<&'a str>,
    /// Whether only that shell is to run.
    pub is_rescue: bool,
    /// `root=`: the device of the real root.
    pub root: &'a str,
    /// `rootfstype=`.
    pub root_type: &'a str,
    /// `rootflags=`.
    pub root_flags: &'a str,
    /// `ocinit.modules=`: what has to be loaded before that device can be mounted, files as in boot.json's `modules`, separated by commas.
    pub root_modules: &'a str,
    /// `rw` came after `ro`.
    pub is_writable: bool,
}

impl<'a> KernelLine<'a> {
    /// Reads it. Words that are not ours are the kernel's, or somebody else's.
    pub fn read(line: &'a str) -> Self {
        let mut said = KernelLine::default();
        let mut is_quoted = false;
        let words = line.split(|letter: char| {
            is_quoted ^= letter == '"';
            letter.is_ascii_whitespace() && !is_quoted
        });
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let value = value.trim_matches('"');
            let texts = [
                ("ocinit.boot", &mut said.boot),
                ("ocinit.only", &mut said.only),
                ("ocinit.skip", &mut said.skip),
                ("ocinit.log", &mut said.log),
                ("ocinit.watchdog", &mut said.watchdog),
                ("ocinit.modules", &mut said.root_modules),
                ("root", &mut said.root),
                ("rootfstype", &mut said.root_type),
                ("rootflags", &mut said.root_flags),
            ];
            let is_rescue = ["single", "S", "rescue", "emergency"].contains(&word);
            if let Some((_, place)) = texts.into_iter().find(|(name, _)| *name == key) {
                *place = value;
            } else if key == "ocinit.shell" || is_rescue {
                said.shell = Some(if is_rescue { said.shell.unwrap_or("") } else { value });
                said.is_rescue |= is_rescue;
            } else if key == "ocinit.debug" {
                said.debug = value != "0";
            } else if word == "ro" || word == "rw" {
                said.is_writable = word == "rw";
            }
        }
        said
    }

    /// Whether the bundle of this id is to be left out.
    pub fn leaves_out(&self, id: &str) -> bool {
        let names = |list: &str| list.split(',').any(|name| name == id);
        self.is_rescue || (!self.only.is_empty() && !names(self.only)) || names(self.skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_words_are_found_among_the_kernel_s() {
        let line = "console=ttyS0 quiet ocinit.only=a,b ocinit.skip=b ocinit.debug ocinit.shell=/dev/ttyS1 root=/dev/vda ro x=\"a ocinit.log=off\"\n";
        let said = KernelLine::read(line);
        assert_eq!((said.only, said.skip, said.debug, said.shell), ("a,b", "b", true, Some("/dev/ttyS1")));
        assert_eq!((said.root, said.is_writable, said.log, said.is_rescue), ("/dev/vda", false, "", false));
        assert!(!said.leaves_out("a") && said.leaves_out("b") && said.leaves_out("c"));
    }

    #[test]
    fn rescue_runs_a_shell_and_nothing_else() {
        let said = KernelLine::read("S");
        assert!(said.is_rescue && said.shell == Some("") && said.leaves_out("a"));
        assert_eq!(KernelLine::read("rescue=1 emergency=x"), KernelLine::default());
    }
}
