# shellcheck shell=bash
# Scenarios of the machine around the bundles: disks, clocks, networks, terminals, the kernel's line, LinuxKit's trees. Sourced by tests/boot/run.

DATA='{"source":"/dev/nvme0n1","target":"/data","type":"ext4","wait-for":"10s","check":["/bin/sh","-c","echo checked >>/checks; exit 1"],"format":["/bin/sh","-c","echo formatted >>/checks; mke2fs /dev/nvme0n1"]}'

# A shell for the commands of boot.json.
with_shell() {
    printf '#!/bin/busybox sh\nexec /bin/busybox sh "$@"\n' >"$image/bin/sh"
    chmod 755 "$image/bin/sh"
}

# Shows a bundle the folder /data.
shows_data() { sed -i 's,"mounts": \[,"mounts": [{"destination": "/data"\, "type": "bind"\, "source": "/data"\, "options": ["bind"]}\,,' "$image/$1/config.json"; }

scenario_data() {
    # A data partition: made the first time, checked each time; time, randomness and logs are kept on it; a full one hurts nobody.
    local round
    new_image data
    with_shell
    mkdir -p "$image/data" && echo x >"$image/data/.keep"
    bundle containers/services/counter "$(shell 'echo up >>/data/boots; exec sleep 100000')"
    shows_data containers/services/counter
    bundle containers/services/chatty "$(shell 'n=1000; while [ $n -lt 1400 ]; do n=$((n+1)); echo line $n; usleep 5000; done; printf half; sleep 5; echo -and-half; exec sleep 100000')" '{"org.ocinit.boot.after":"path:/now"}'
    bundle containers/services/filler "$(shell 'dd if=/dev/zero of=/data/big bs=64k; echo full; exec sleep 100000')" '{"org.ocinit.boot.after":"path:/fill"}'
    sed -i 's,"mounts": \[,"mounts": [{"destination": "/dev/zero"\, "type": "bind"\, "source": "/dev/zero"\, "options": ["bind"]}\,,; s,{"destination": "/dev"[^}]*}\,,,' "$image/containers/services/filler/config.json"
    shows_data containers/services/filler
    bundle containers/services/on-slow '["/bin/busybox","sleep","100000"]' '{"org.ocinit.boot.after":"mount-slow"}'
    boot_json '"mounts":['"$DATA"',{"source":"/dev/no-such","target":"/slow","type":"ext4","wait-for":"1h","timeout":"2s"}],"clock":"/data/clock","random-seed":"/data/seed","log-files":{"directory":"/data/log","size":"4k","count":3}'
    checks <<'END'
first() { grep -q "^up$" /data/boots; }
lines() { cat /data/log/chatty.log.2 /data/log/chatty.log.1 /data/log/chatty.log; }
check "the data is mounted" eval 'mount | grep -q "/data type ext4"'
check "a bundle that shows some of it waits for it by itself" first
if test -e /data/again; then
    check "the second time it is checked and not formatted" eval 'test "$(cat /checks)" = checked'
    check "the clock goes on from where it was" eval 'test $(date +%s) -ge $(stat -c %Y /data/again)'
    check "and not from the year of the machine's own" eval 'test $(date +%Y) -ge 2024'
    check "there is a new seed" eval 'test $(wc -c </data/seed) = 512 && ! cmp -s /data/seed /data/seed.before'
else
    check "the first time it is checked and formatted" eval 'test "$(tr "\n" " " </checks)" = "checked formatted "'
    date -s "2024-05-06 07:08" >/dev/null
    check "a mount that takes too long has failed" state mount-slow failed
    check "who waits for it waits" state on-slow waiting
    check "the others do not" state counter ready
    check "there are files of logs" test -d /data/log
    touch /now
    sleep 2
    /init service reload
    check "the last line is written" eval 'tail -n 1 /data/log/chatty.log | grep -q "line 1400"'
    check "a line without an end is not, until it has one" eval '! grep -q half /data/log/chatty.log && sleep 6 && grep -q half-and-half /data/log/chatty.log'
    check "there are as many files as there may be" eval 'test -e /data/log/chatty.log.2 && ! test -e /data/log/chatty.log.3'
    check "none is larger than it may be" eval 'test $(stat -c %s /data/log/chatty.log.1) -le 4200'
    check "no line is lost or there twice" eval 'test "$(lines | sed -n "s/.*line //p" | awk "{ if (last && \$1 != last + 1) bad = 1; last = \$1 } END { print bad + 0 }")" = 0'
    check "there are no logs of the logs" eval '! test -e /data/log/log-files.log'
    touch /fill
    check "the disk is full" eval 'said filler | grep -q "full"'
    check "who ran runs" eval 'state counter ready && state chatty ready && state log-files ready'
    check "process 1 does what it is asked" eval '/init service stop filler && state filler stopped'
    rm /data/big
    /init service restart chatty
    check "there are logs again once there is room" eval 'tail -n 1 /data/log/chatty.log | grep -q "line 10"'
    cp /data/seed /data/seed.before
    touch /data/again
fi
END
    archive
    rm -f "$work/disk" && truncate -s 16M "$work/disk"
    for round in first second; do
        boot 180 "quiet" -rtc base=2001-02-03 "${DISK[@]}" && powered_off=0 || powered_off=$?
        count_report
        is "the $round boot powers off by itself" test "$powered_off" = 0
    done
    is "the file system is in order" e2fsck -fn "$work/disk"
}

scenario_health() {
    # Commands that say how a bundle is; a terminal; a network that comes late; what is run once all is ready.
    new_image health
    mkdir -p "$image/modules" && cp "$(cross/modules "$target" dummy)" "$image/modules/"
    with_shell
    one() { bundle "containers/services/$1" "$2" "$3"; }
    one becomes-well "$(shell 'sleep 1; echo >/ok; exec sleep 100000')" '{"org.ocinit.boot.ready":"exec","org.ocinit.boot.health":"/bin/busybox test -e /ok","org.ocinit.boot.health-interval":"200ms"}'
    one falls-ill "$(shell 'echo >/ok; sleep 3; rm /ok; exec sleep 100000')" '{"org.ocinit.boot.health":"/bin/busybox test -e /ok","org.ocinit.boot.health-interval":"300ms","org.ocinit.boot.health-retries":"2","org.ocinit.boot.stop-timeout":"500ms"}'
    one counts "$(shell 'exec sleep 100000')" '{"org.ocinit.boot.restart":"no","org.ocinit.boot.health":"/bin/busybox sh /count","org.ocinit.boot.health-interval":"300ms","org.ocinit.boot.health-retries":"4","org.ocinit.boot.stop-timeout":"500ms"}'
    echo 'echo x >>/counted; exit 1' >"$image/containers/services/counts/rootfs/count"
    one hangs "$(shell 'exec sleep 100000')" '{"org.ocinit.boot.restart":"no","org.ocinit.boot.health":"/bin/busybox sleep 100","org.ocinit.boot.health-interval":"200ms","org.ocinit.boot.health-timeout":"300ms","org.ocinit.boot.health-retries":"2","org.ocinit.boot.stop-timeout":"500ms"}'
    one patient "$(shell 'exec sleep 100000')" '{"org.ocinit.boot.health":"/bin/busybox false","org.ocinit.boot.health-interval":"200ms","org.ocinit.boot.health-retries":"1","org.ocinit.boot.health-start-period":"1h"}'
    one terminal '["/bin/busybox","sh"]' '{}'
    sed -i 's/"process": {/"process": {"terminal": true,/; s,{"destination": "/run",{"destination": "/dev/pts"\, "type": "devpts"\, "source": "devpts"\, "options": ["newinstance"\, "ptmxmode=0666"\, "mode=0620"]}\,{"destination": "/run",' "$image/containers/services/terminal/config.json"
    one online '["/bin/busybox","sleep","100000"]' '{"org.ocinit.boot.after":"network:dummy0"}'
    one vital "$(shell 'sleep 1; echo >&3; exec sleep 100000')" '{"org.ocinit.boot.critical":"true","org.ocinit.boot.ready":"fd"}'
    boot_json '"modules":["/modules/dummy.ko"],"on-ready":["/bin/sh","-c","echo good >>/good"],"stable":"3s"'
    checks <<'END'
never "nothing is good before it is stable" test -e /good
check "one becomes ready by its health" state becomes-well ready
talk() { (sleep 1; echo 'echo answer $((6*7))'; sleep 2; printf '\035') | /init service attach terminal; }
check "a terminal can be attached to" eval 'talk | grep -q "^answer 42"'
check "who was attached to goes on" eval 'state terminal ready && test $(field terminal restarts) = 0'
check "one without a terminal says so" eval '/init service attach online 2>&1 | grep -q "it has no terminal"'
check "one that falls ill is started again" eval 'test $(field falls-ill restarts) -ge 1'
check "one that hangs is not well" state hangs failed
check "nor is one that fails as often as it may" state counts failed
check "which is counted" eval 'test $(wc -l </containers/services/counts/rootfs/counted) = 4'
check "one that is given time has it" eval 'state patient ready && test $(field patient restarts) = 0'
check "who waits for the network waits" state online waiting
ip link add dummy0 type dummy
sleep 1
never "it is there, and not up" state online ready
ip link set dummy0 up
check "it is up" state online ready
check "what is to be run when all is good was run" eval 'test "$(cat /good)" = good'
sleep 4
check "once" eval 'test "$(cat /good)" = good && state on-ready done'
END
    archive
    passes 180 "quiet"
}

scenario_kernel_line() {
    # The words of the kernel's line: another directory of bundles, fewer of them, more is said; and a rescue, in which nothing is started.
    local name
    new_image kernel_line
    with_shell
    bundle containers/services/usual '["/bin/busybox","sleep","100000"]'
    for name in a b c; do bundle "other/$name" '["/bin/busybox","sleep","100000"]'; done
    boot_json
    checks <<'END'
check "what is named is up" state a ready
check "what is left out is not" eval 'state b stopped && state c stopped'
check "another directory is taken instead" eval '! status usual'
check "it can be started by hand" eval '/init service start c && state c ready'
check "the shell runs" state shell ready
check "more is said" eval 'dmesg | grep -q "ocinit.*a: ready"'
END
    archive
    passes 90 "quiet ocinit.boot=/other ocinit.only=a,b ocinit.skip=b ocinit.debug ocinit.log=kmsg ocinit.shell"
    checks <<'END'
check "nothing but the shell is there" eval 'test "$(/init service list | tail -n +2 | cut -c1-6)" = "shell "'
END
    printf '#!/bin/busybox sh\nexec /bin/busybox sh /check\n' >"$image/bin/sh"
    archive
    boot 90 "quiet rescue ocinit.shell=/dev/report ocinit.log=off" && powered_off=0 || powered_off=$?
    count_report
    is "a rescue powers off by itself" test "$powered_off" = 0
}

# As `linuxkit build` lays a container out: linuxkit PLACE ARGS RUNTIME-AS-JSON, with the root file system in `lower`.
linuxkit() {
    bundle "$1" "$2"
    mv "$image/$1/rootfs" "$image/$1/lower"
    mkdir "$image/$1/tmp" "$image/$1/rootfs"
    touch "$image/$1/tmp/.keep" "$image/$1/rootfs/.keep"
    [ -z "${3:-}" ] || echo "$3" >"$image/$1/runtime.json"
}

scenario_linuxkit() {
    # A tree as LinuxKit builds it: layers, runtime.json, one image for two containers, a namespace that is joined.
    local rw=containers/services/rw old=containers/services/old dup=containers/services/dup
    new_image linuxkit
    cp "$(cross/modules "$target" overlay)" "$image/overlay.ko"
    bundle containers/onboot/000-first "$(shell 'echo first')"
    echo '{"mounts":[{"destination":"/containers/onboot/000-first/rootfs","source":"/containers/onboot/000-first/rootfs","options":["bind"]}]}' >"$image/containers/onboot/000-first/runtime.json"
    linuxkit "$rw" "$(shell 'echo mine >/written; exec sleep 100000')" '{"mkdir":["/var/made/deep"],"cgroups":["mine"],"bindNS":{"net":"/run/netns/rw"},"mounts":[
        {"destination":"/'$rw'/tmp","type":"tmpfs","source":"tmpfs"},
        {"destination":"/'$rw'/tmp","options":["remount","private"]},
        {"destination":"/'$rw'/rootfs","type":"overlay","source":"overlay","options":["lowerdir=/'$rw'/lower","upperdir=/'$rw'/tmp/upper","workdir=/'$rw'/tmp/work"]}]}'
    sed -i 's/{"type": "ipc"}/{"type": "ipc"}, {"type": "network"}/' "$image/$rw/config.json"
    linuxkit "$old" "$(shell 'n=$(cat /n || echo 0); echo $((n+1)) >/n; [ $n -ge 2 ] || exit 1; exec sleep 100000')"
    bundle "$dup" "$(shell 'exec sleep 100000')"
    rm -r "$image/$dup/rootfs/bin" && touch "$image/$dup/rootfs/.keep"
    echo '{"mounts":[{"destination":"/'$dup'/rootfs","source":"/'$rw'/lower","options":["bind"]}]}' >"$image/$dup/runtime.json"
    sed -i 's,{"type": "ipc"},{"type": "ipc"}\, {"type": "network"\, "path": "/run/netns/rw"},' "$image/$dup/config.json"
    bundle containers/services/wired '["/bin/busybox","sleep","100000"]'
    echo '{"interfaces":[{"name":"eth0"}]}' >"$image/containers/services/wired/runtime.json"
    bundle containers/onshutdown/000-bye "$(shell 'echo bye >/dev/the-console')"
    sed -i 's/"linux": {/"linux": {"resources": {"devices": [{"allow": true, "access": "rwm"}]}, "devices": [{"path": "\/dev\/the-console", "type": "c", "major": '"${console_numbers% *}, \"minor\": ${console_numbers#* }"', "fileMode": 438}],/' "$image/containers/onshutdown/000-bye/config.json"
    boot_json '"modules":["/overlay.ko"]'
    checks <<'END'
check "onboot ran" state first done
check "a root of layers is there" state rw ready
check "what it writes lies in memory" eval 'test "$(cat /containers/services/rw/tmp/upper/written)" = mine && ! test -e /containers/services/rw/lower/written'
check "directories and cgroups are made" test -d /var/made/deep -a -d /sys/fs/cgroup/mine
check "one without mounts gets the layers too" state old ready
check "it keeps what it wrote when it is started again" eval 'test $(field old restarts) = 2'
check "mounted once" eval 'test $(mount | grep -c " on /containers/services/old/") = 2'
check "one shows another's image and joins its namespace" state dup ready
check "it is that namespace" eval 'test "$(readlink /proc/$(field dup pid)/ns/net)" = "$(readlink /proc/$(field rw pid)/ns/net)"'
check "what is not known here is said" eval 'said wired | grep -q "runtime.json: interfaces"'
END
    archive
    passes 120 "quiet"
    is "onshutdown ran" grep -q '^bye' "$work/console"
}

scenario_squashed_root() {
    # What `make image ROOT=squashfs` makes: from an initramfs with modules in it to a root file system that nobody can write to.
    local made powered_off=0
    new_image squashed
    bundle squashed-web '["/bin/busybox","sleep","100000"]'
    mkdir -p "$image/squashed-web/rootfs"/{proc,dev,run}
    mv "$image/squashed-web" "$work/squashed-web.part"
    rm -rf "$work/squashed-web" && mv "$work/squashed-web.part" "$work/squashed-web"
    rm "$image/init"
    boot_json '"hostname":"squashed"'
    checks <<'END'
check "the root is the image" eval 'grep -q " / / ro.* - squashfs /dev/nvme0n1 ro" /proc/self/mountinfo'
check "its bundles run" state squashed-web ready
check "boot.json is read from it" test "$(cat /proc/sys/kernel/hostname)" = squashed
check "nobody can write to it" eval '! touch /etc/new 2>/dev/null'
END
    name_ports
    made=$(HOST_PROFILE=debug ROOT=squashfs FILES=$image cross/image "${target%%-*}" "$work/squashed-web")
    rm -f "$work/report"
    LINE=quiet MEMORY=512 timeout --foreground 180 "$made/run" -chardev "file,id=report,path=$work/report" $report_device \
        >"$work/console" 2>&1 </dev/null || powered_off=$?
    count_report
    is "it powers off by itself" test "$powered_off" = 0
}
