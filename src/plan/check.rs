//! (temporary)
use crate::mem::Arena;
use crate::spec::Config;
/// Severity
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// e
    Error,
    /// w
    Warning,
}
/// Problem
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// s
    pub severity: Severity,
    /// p
    pub text: &'a str,
}
impl core::fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text)
    }
}
/// check
pub fn check<'a>(_config: &Config<'a>, _arena: &Arena<'a>, _report: &mut dyn FnMut(Problem<'a>)) {}
