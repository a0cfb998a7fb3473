//! Defences that the tests take away, to see that they would notice; only in a build by `--cfg undefended`, which is never released.
//!
//! Must: be nothing at all in any other build.

/// Whether a defence is taken away: `OCINIT_UNDEFENDED` lists them, with commas.
#[cfg(undefended)]
pub fn is_undefended(defence: &str) -> bool {
    let listed = super::pointers::variable("OCINIT_UNDEFENDED").and_then(|names| names.to_str().ok()).unwrap_or_default();
    listed.split(',').any(|name| name == defence)
}

/// Nothing is ever taken away.
#[cfg(not(undefended))]
#[inline(always)]
pub const fn is_undefended(_: &str) -> bool {
    false
}
