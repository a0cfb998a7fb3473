# shellcheck shell=bash
# What the client scripts share: a step is a name and a command; what it prints is compared, and all steps are counted.
#
# RUNTIME_PATH is the runtime under test, RUNTIME_NAME what it is called (`ocinit`, `runc`, `crun`).

passed=0 failed=0 skipped=0

# step NAME COMMAND...: the command must end with 0.
step() { check 0 '' "$@"; }
# prints TEXT NAME COMMAND...: and what it prints must hold the text.
prints() { check 0 "$@"; }
# ends STATUS TEXT NAME COMMAND...: it must end with this status, and print the text.
ends() { check "$@"; }
# skip NAME WHY
skip() { echo "skip  $1: $2"; skipped=$((skipped + 1)); }

check() {
    local status=$1 text=$2 name=$3 said got
    shift 3
    # A function of ours cannot be given to timeout(1).
    [ "$(type -t "$1")" = function ] || set -- timeout "${STEP_TIMEOUT:-60}" "$@"
    said=$("$@" 2>&1 </dev/null)
    got=$?
    if [ "$got" != "$status" ]; then
        complain "$name" "exit $got, not $status" "$said"
    else
        case $said in *"$text"*) echo "ok    $name"; passed=$((passed + 1)) ;; *) complain "$name" "does not print $text" "$said" ;; esac
    fi
}

complain() {
    echo "FAIL  $1: $2"
    printf '%s\n' "$3" | tail -n 6 | sed 's/^/      /'
    failed=$((failed + 1))
}

# eventually COMMAND...: within some seconds it ends with 0.
eventually() {
    [ "$(type -t "$1")" = function ] || set -- timeout 20 "$@"
    for _ in $(seq 30); do "$@" >/dev/null 2>&1 && break; sleep 0.3; done
    "$@"
}

# An image of busybox, as a folder at $1.
busybox_root() {
    mkdir -p "$1"/{bin,etc,tmp,proc,dev,sys,root,run,var}
    cp /bin/busybox "$1/bin/busybox"
    for name in $("$1/bin/busybox" --list); do [ -e "$1/bin/$name" ] || ln -s busybox "$1/bin/$name"; done
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\nwheel:x:10:user\n' >"$1/etc/group"
}

# What must not be left behind by a client: mounts, cgroups, state.
leftovers() {
    findmnt -rno TARGET | grep -E '/(containers|containerd|docker)/' | grep -v '/storage/overlay$' || true
    find /sys/fs/cgroup -maxdepth 3 -name '*libpod-*' -o -maxdepth 3 -name 'steps-*' || true
    find "/run/$RUNTIME_NAME" -mindepth 1 -maxdepth 2 2>/dev/null || true
}

summary() { echo "$1 with $RUNTIME_NAME: $passed passed, $failed failed, $skipped skipped"; [ "$failed" = 0 ]; }
