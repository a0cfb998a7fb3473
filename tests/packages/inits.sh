# shellcheck shell=bash
# Other inits start ocinit by the files of cross/packages/init, see it end, start it again and stop it. Sourced by tests/packages/run.
#
# Each runs as process 1 of a namespace of its own, with the host's files and what the package installs laid over them.

# A bundle whose program writes down when it is started and when it is told to stop.
bundle=$work/etc/ocinit/bundles/talker
mkdir -p "$work/root/bin" "$work/root/out" "$work/etc/ocinit/bundles" "$work/etc/s6/ocinit" "$work/sbin"
cp "$(command -v busybox)" "$work/root/bin/busybox"
ln -s busybox "$work/root/bin/sh"
# shellcheck disable=SC2016 # the program's own shell expands
tar -C "$work/root" -c . | "$(cross/host/build debug)" bundle -q - "$bundle" -- /bin/sh -c \
    'trap "echo stopped >>/out/said; exit 0" TERM; echo started >>/out/said; while :; do /bin/busybox sleep 0.1; done'
cp "${OCINIT:-target/dist/$target/ocinit}" "$work/sbin/ocinit"
cp "$packages/init/inittab" "$work/etc/inittab"
cp "$packages/init/s6-run" "$work/etc/s6/ocinit/run"
chmod +x "$work/etc/s6/ocinit/run"
said=$bundle/rootfs/out/said
world=
# unshare takes its world along when it ends.
trap '[ -z "$world" ] || kill -KILL "$world" 2>/dev/null || true' EXIT

# world COMMAND...: as process 1 of a namespace, with $work/etc over /etc, $work/sbin over /usr/sbin, and an empty /run.
world() {
    mkdir -p "$work/upper" "$work/layers"
    # shellcheck disable=SC2016 # the inner shell expands
    unshare --mount --pid --fork --kill-child --propagation private sh -c '
        set -e
        work=$1
        shift
        mount -t tmpfs tmpfs "$work/layers"
        for name in etc sbin; do mkdir -p "$work/layers/$name.up" "$work/layers/$name.work"; done
        mount -t proc proc /proc
        mount -t tmpfs tmpfs /run
        umount -l /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        bind=$work/etc/ocinit
        mount -t overlay -o "lowerdir=$work/etc:/etc,upperdir=$work/layers/etc.up,workdir=$work/layers/etc.work" overlay /etc
        mount --bind "$bind" /etc/ocinit
        mount -t overlay -o "lowerdir=$work/sbin:/usr/sbin,upperdir=$work/layers/sbin.up,workdir=$work/layers/sbin.work" overlay /usr/sbin
        exec "$@"' sh "$work" "$@" >"$work/world.log" 2>&1 </dev/null &
    world=$!
}

# until_said COUNT WORD: waits until the bundle has written that word so often.
until_said() {
    local try
    for try in $(seq 150); do
        if [ -e "$said" ] && [ "$(grep -cx "$2" "$said" || true)" -ge "$1" ]; then return; fi
        sleep 0.2
    done
    echo "the bundle said: $(cat "$said" 2>&1 || true)"
    cat "$work/world.log"
    return 1
}

# The process 1 of the world, and the ocinit that it runs, as the host numbers them.
first() { pgrep -P "$world" | head -n 1; }
supervisor() { pgrep -P "$(first)" -f "ocinit boot" | head -n 1; }
ends() { local try; for try in $(seq 100); do kill -0 "$world" 2>/dev/null || return 0; sleep 0.2; done; kill -KILL "$world"; return 1; }

inittab_starts() { until_said 1 started; }
inittab_again() { kill -KILL "$(supervisor)" && sleep 1 && [ -n "$(supervisor)" ] && until_said 1 started; }
inittab_stops() { kill -USR2 "$(first)" && until_said 1 stopped && ends; }
rm -f "$said"
world busybox init
expect "busybox init starts ocinit by its inittab, and ocinit the bundle" inittab_starts
expect "busybox init starts it again when it dies" inittab_again
expect "busybox init waits at shutdown until the bundle has stopped" inittab_stops
ends || true

s6_starts() { until_said 1 started; }
s6_stops() { nsenter -t "$(first)" -m -p s6-svc -wD -T 20000 -d /etc/s6/ocinit && until_said 1 stopped; }
s6_again() { nsenter -t "$(first)" -m -p s6-svc -u /etc/s6/ocinit && until_said 2 started; }
rm -f "$said"
world s6-svscan /etc/s6
expect "s6 starts ocinit by its run file, and ocinit the bundle" s6_starts
expect "s6 stops it, and the bundle is told" s6_stops
expect "s6 starts it again" s6_again
kill -TERM "$(first)" 2>/dev/null || true
ends || true
