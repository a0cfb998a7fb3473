#!/bin/sh
# SWUpdate: a script of type "postinstall"; $1 says when it is called. MOUNTED names where the new root file system is mounted.
# Not tested with SWUpdate itself.
set -e
[ "$1" = postinst ] || exit 0
exec "${MOUNTED:-/mnt}/usr/sbin/ocinit" boot --check "${MOUNTED:-/mnt}"
