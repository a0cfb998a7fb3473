//! `root` and `mounts`: the container's file system.

use super::IdMapping;
use crate::json::object;
use crate::mem::List;

object! {
    /// The container's root file system.
    Root<'a> {
        "path" => path: &'a str,
        "readonly" => readonly: bool,
    }
}

object! {
    /// A mount on top of the root.
    Mount<'a> {
        "destination" => destination: &'a str,
        "type" => kind: &'a str,
        "source" => source: &'a str,
        "options" => options: List<'a, &'a str>,
        "uidMappings" => uid_mappings: List<'a, IdMapping>,
        "gidMappings" => gid_mappings: List<'a, IdMapping>,
    }
}
