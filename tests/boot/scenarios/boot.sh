# shellcheck shell=bash
# The scenarios of tests/boot/run: each makes an image, boots it, and says what must be so. Sourced.

# What a service of ours runs: busybox's shell on one line.
shell() { printf '["/bin/busybox","sh","-c","%s"]' "$1"; }

# A script for the machine, on its second serial port. `check NAME COMMAND` is one test; it waits up to 30 s for the command to succeed.
# What it runs are busybox's own applets.
checks() {
    {
        cat <<'END'
#!/bin/busybox sh
exec >/dev/report 2>&1
stty raw
status() { /init service status "$1" 2>/dev/null; }
state() { status "$1" | grep -q "\"state\":\"$2\""; }
field() { status "$1" | sed "s/.*\"$2\":\([^,}]*\).*/\1/"; }
said() { /init logs "$1" 2>/dev/null; }
check() {
    name=$1
    shift
    for try in $(seq ${tries:-60}); do
        if "$@"; then echo "ok $name"; return; fi
        sleep 0.5
    done
    echo "not ok $name: $*"
}
never() {
    name=$1
    shift
    if "$@"; then echo "not ok $name: $*"; else echo "ok $name"; fi
}
END
        cat
        printf '%s\n' 'echo "the end"' '/init poweroff'
    } >"$image/check"
}

# boot.json with the checks as a command on the second serial port, and MORE keys.
boot_json() {
    echo "{\"version\":1,\"console\":[{\"args\":[\"/bin/busybox\",\"sh\",\"/check\"],\"tty\":\"/dev/report\"}]${1:+,$1}}" >"$image/etc/ocinit/boot.json"
}

scenario_services() {
    new_image services
    bundle containers/onboot/002-second "$(shell 'echo second')"
    bundle containers/onboot/10-last "$(shell 'echo last')"
    bundle containers/services/web '["/bin/busybox","httpd","-f","-p","80","-h","/"]'
    bundle containers/services/crash "$(shell 'n=$(cat /n || echo 0); echo $((n+1)) >/n; [ $n -ge 2 ] || exit 1; exec sleep 1000')" '{"org.ocinit.boot.delay":"50ms"}'
    bundle containers/services/never "$(shell 'exit 125')"
    bundle containers/services/loop "$(shell 'exit 3')" '{"org.ocinit.boot.delay":"10ms","org.ocinit.boot.limit":"2","org.ocinit.boot.give-up":"start:standby"}'
    bundle containers/services/standby "$(shell 'exec sleep 1000')"
    bundle containers/services/finished "$(shell 'exit 0')" '{"org.ocinit.boot.kind":"oneshot"}'
    bundle containers/services/follower "$(shell 'exec sleep 1000')" '{"org.ocinit.boot.after":"finished"}'
    bundle containers/services/on-failed "$(shell 'exec sleep 1000')" '{"org.ocinit.boot.after":"never:failed"}'
    bundle containers/services/on-path "$(shell 'exec sleep 1000')" '{"org.ocinit.boot.after":"path:/made-later"}'
    bundle containers/services/stubborn "$(shell 'trap : TERM; while :; do sleep 1; done')" '{"org.ocinit.boot.stop-timeout":"1s"}'
    bundle containers/services/polite "$(shell 'trap \"exit 0\" INT; while :; do sleep 0.1; done')" '{"org.opencontainers.image.stopSignal":"SIGINT"}'
    bundle containers/services/flood '["/bin/busybox","yes","abcdefghijklmnopqrstuvwxyz"]' '{"org.ocinit.boot.restart":"no"}'
    bundle containers/services/bomb "$(shell 'b() { b | b & }; b; sleep 1000')" '{"org.ocinit.boot.restart":"no"}' '"linux_": 1'
    sed -i 's/"linux_": 1/"hostname": "bomb"/; s/"linux": {/"linux": {"resources": {"pids": {"limit": 64}},/' "$image/containers/services/bomb/config.json"
    bundle containers/services/loud "$(shell 'echo \"<3>an error\"; echo plain; exec sleep 1000')"
    # A bad bundle of each kind.
    bundle containers/services/bad-key "$(shell 'exit 0')" '{"org.ocinit.boot.restrat":"no"}'
    mkdir -p "$image/containers/services/bad-json" && echo '{' >"$image/containers/services/bad-json/config.json"
    bundle containers/services/bad-program '["/no/such/program"]' '{"org.ocinit.boot.restart":"no"}'
    bundle containers/services/cycle-a "$(shell 'exit 0')" '{"org.ocinit.boot.after":"cycle-b"}'
    bundle containers/services/cycle-b "$(shell 'exit 0')" '{"org.ocinit.boot.after":"cycle-a"}'
    bundle containers/onshutdown/bye "$(shell 'echo bye >/dev/the-console')" '{}' '"hooks": {}'
    sed -i 's/"linux": {/"linux": {"resources": {"devices": [{"allow": true, "access": "rwm"}]}, "devices": [{"path": "\/dev\/the-console", "type": "c", "major": '"${console_numbers% *}, \"minor\": ${console_numbers#* }"', "fileMode": 438}],/' "$image/containers/onshutdown/bye/config.json"
    boot_json
    checks <<'END'
check "a web server answers" wget -q -O /dev/null http://127.0.0.1/bin/busybox
check "onboot ran in the order of its numbers" eval 'test "$(said second | cut -c1-27)" \< "$(said last | cut -c1-27)"' 
check "one that crashes twice is up the third time" state crash ready
check "and was restarted twice" eval 'test "$(field crash restarts)" = 2'
check "125 is not started again" state never failed
check "nor was it" test "$(field never restarts)" = 0
check "a crash loop is given up" state loop failed
check "and what it gives up to is up" state standby ready
check "one that waits for a oneshot is up" state follower ready
check "one that waits for a failure is up" state on-failed ready
never "one that waits for a path is not" state on-path ready
touch /made-later
check "and is once it is there" state on-path ready
check "priorities are read" eval 'said loud | grep -q "<3> an error"'
check "and so are lines without" eval 'said loud | grep -q "<6> plain"'
check "a flood of output stays in its room" eval 'test $(said flood | wc -c) -lt 40000 -a $(said flood | wc -l) -gt 10'
check "an unknown annotation breaks its bundle" state bad-key failed
check "a config.json that is none breaks its bundle" state bad-json failed
check "a program that is not there is said" eval 'said bad-program | grep -q "no such file"'
check "a cycle is named" eval 'dmesg | grep -q "cycle-a: a cycle: cycle-a, before it cycle-b, before it cycle-a"'
check "one that ignores TERM is killed" /init service stop stubborn
check "after its time" state stubborn stopped
check "the image's stop signal is used" /init service stop polite
check "and is no failure" test "$(field polite failures)" = 0
check "it starts again" /init service start polite
check "an unknown service is an error" eval '! /init service start nobody'
pid=$(field web pid)
check "restart makes a new process" eval '/init service restart web && test $(field web pid) != $pid'
kill -9 $(field web pid)
check "one that was killed comes back" eval 'test "$(field web restarts)" -ge 2 && state web ready'
(sleep 0.2 &)
sleep 1
check "orphans are reaped" eval '! cat /proc/[0-9]*/stat 2>/dev/null | grep -q ") Z 1 "'
kill -9 $(field bomb pid)
check "the runtime's own commands see what boot runs" eval '/init list -q | grep -q "^web$"'
pid=$(field web pid)
kill -QUIT 1
check "our next life keeps what runs" eval 'dmesg | grep -q "executed anew" && state web ready && test $(field web pid) = $pid'
check "and the logs" eval 'said loud | grep -q "<3> an error"'
# Not before our next life is ready for one.
until grep -q '^SigCgt:.*[1-9a-f]' /proc/1/status; do sleep 0.2; done
kill -SEGV 1
check "a fault is survived" eval 'dmesg | grep -q "a bug of ours" && state web ready && test $(field web pid) = $pid'
mkdir -p /containers/services/later && cp -r /containers/services/follower/config.json /containers/services/follower/rootfs /containers/services/later/
check "reload takes a new bundle" eval '/init service reload && sleep 2 && state later ready'
echo '{"version":2}' >/etc/ocinit/boot.json
/init service reload; sleep 2
check "reload refuses a bad boot.json" eval 'dmesg | grep -q "the new configuration is not used" && state web ready'
check "disable says so in a file" eval '/init service disable web && test -e /var/lib/ocinit/disabled/web && /init service enable web && ! test -e /var/lib/ocinit/disabled/web'
check "the chart draws them" eval '/init boot-chart | grep -q "web  *|[.c=]*#"'
check "also as a picture" eval '/init boot-chart --svg | grep -q "</svg>"'
check "blame begins with the slowest" eval '/init blame | head -n 1 | grep -q ms'
check "top shows memory" eval '/init top | grep -q "^web .* K"'
END
    archive
    passes 240 "quiet"
    is "onshutdown runs at the end" grep -q '^bye' "$work/console"
}

scenario_notify() {
    new_image notify
    mkdir -p "$image/rootfs/bin" && cp "$busybox" "$image/rootfs/bin/busybox" && cp "$harness" "$image/rootfs/containers" && cp "$harness" "$image/containers-peer"
    talker() { bundle "containers/services/$1" "$2" "$3" && rm -r "$image/containers/services/$1/rootfs" && sed -i 's,"path": "rootfs","path": "/rootfs",' "$image/containers/services/$1/config.json"; }
    talker ready '["/containers","peer","notify","STATUS=warming up","500","READY=1\\nSTATUS=serving","100000000"]' '{"org.ocinit.boot.ready":"notify"}'
    talker silent '["/bin/busybox","sleep","1000"]' '{"org.ocinit.boot.ready":"notify","org.ocinit.boot.start-timeout":"1s","org.ocinit.boot.limit":"1","org.ocinit.boot.delay":"10ms","org.ocinit.boot.stop-timeout":"500ms"}'
    talker patient '["/containers","peer","notify","EXTEND_TIMEOUT_USEC=60000000","7000","READY=1","100000000"]' '{"org.ocinit.boot.ready":"notify","org.ocinit.boot.start-timeout":"6s"}'
    talker watched '["/containers","peer","notify","READY=1","WATCHDOG=1","300","WATCHDOG=1","100000000"]' '{"org.ocinit.boot.ready":"notify","org.ocinit.boot.watchdog":"2s","org.ocinit.boot.stop-timeout":"500ms","org.ocinit.boot.delay":"5s"}'
    talker triggered '["/containers","peer","notify","READY=1","200","WATCHDOG=trigger","100000000"]' '{"org.ocinit.boot.ready":"notify","org.ocinit.boot.restart":"no","org.ocinit.boot.watchdog":"1h","org.ocinit.boot.stop-timeout":"500ms"}'
    talker by-fd '["/bin/busybox","sh","-c","sleep 1; echo >&3; exec sleep 1000"]' '{"org.ocinit.boot.ready":"fd"}'
    talker after-ready '["/bin/busybox","sleep","1000"]' '{"org.ocinit.boot.after":"ready by-fd"}'
    boot_json
    checks <<'END'
check "it is ready when it says so" state ready ready
check "and what it says is shown" test "$(field ready status)" = '"serving"'
check "a newline makes ready too" state by-fd ready
check "who waits for both comes after" state after-ready ready
check "one that never gets ready fails" state silent failed
check "after the restarts it was given" test "$(field silent restarts)" = 1
check "one that asks for time gets it" state patient ready
check "it was not restarted for it" test "$(field patient restarts)" = 0
check "one that falls silent is restarted" eval 'test "$(field watched failures)" -ge 1'
check "one that says it is not well is stopped" state triggered failed
mkdir /x && cp /containers-peer /x/containers
/x/containers peer garbage /run/ocinit/@boot/notify/ready/notify.sock; sent=$?
/x/containers peer garbage /run/ocinit/@boot/control; sent=$sent$?
rss=$(sed -n "s/VmRSS:[^0-9]*\([0-9]*\).*/\1/p" /proc/1/status)
/x/containers peer flood /run/ocinit/@boot/notify/ready/notify.sock 20000 'MAINPID=1'
check "a flood of MAINPID changes nothing" eval 'state ready ready && test $(field ready pid) -gt 1'
check "and costs no memory" eval "test \$(sed -n 's/VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/1/status) -le $((rss + 32))"
check "nonsense was sent" test "$sent" = 00
check "nonsense changes nothing" eval 'state ready ready && /init service list >/dev/null'
END

    archive
    passes 180 "quiet"
}

scenario_poor() {
    # No watchdog where one is asked for, a boot.json that is none, and still all is up.
    new_image poor
    bundle containers/services/web '["/bin/busybox","sleep","1000"]'
    mkdir -p "$image/etc/ocinit/boot.d"
    echo '{"version":1,"bundels":[]}' >"$image/etc/ocinit/boot.json"
    checks <<'END'
check "the bundles are up without boot.json" state web ready
check "what is wrong is said" eval 'dmesg | grep -q "boot.json: bundels: unknown key"'
check "a watchdog that is not there is said" eval 'dmesg | grep -q "watchdog: open: /dev/watchdog: no such file"'
END
    # The shell of the kernel line is what looks, and an applet's name is what ends.
    sed '$d' "$image/check" >"$image/bin/sh"
    echo 'mkdir -p /sbin; cp /init /sbin/poweroff; exec /sbin/poweroff' >>"$image/bin/sh"
    rm "$image/check"
    archive
    passes 120 "quiet ocinit.watchdog=30 ocinit.shell=/dev/report"
}

scenario_figures() {
    new_image figures
    bundle containers/onboot/first "$(shell 'cat /proc/uptime')"
    for number in $(seq 19); do
        bundle "containers/services/s$number" '["/bin/busybox","sleep","100000"]'
        rm -r "$image/containers/services/s$number/rootfs"
        sed -i 's,"path": "rootfs","path": "/containers/onboot/first/rootfs",' "$image/containers/services/s$number/config.json"
    done
    boot_json
    checks <<'END'
check "twenty bundles are booted" eval 'test $(/init service list | grep -c -E "ready|done") = 21'
sleep 1
rss=$(sed -n "s/VmRSS:[^0-9]*\([0-9]*\).*/\1/p" /proc/1/status)
echo "figure: PID 1 has $rss KB resident with 20 bundles"
check "PID 1 has at most 600 KB with 20 bundles" test $rss -le 600
END
    archive
    passes 180 "quiet"
    grep -h '^figure' "$work/report" || true
}

# Hundredths of a second, as /proc/uptime counts them, from the first number of a line.
hundredths() { sed -n 's/^\([0-9]*\)\.\([0-9][0-9]\).*/\1\2/p'; }

scenario_first_program() {
    # How long from the exec of process 1 to the first bundle's program, beside what `run` needs for the same in a machine that is as cold,
    # and beside busybox's init and crun: the best of three of each.
    local round began first ours=999999 theirs=999999 crun=999999 before after file
    new_image first
    bundle containers/services/first '["/bin/busybox","cat","/proc/uptime"]' '{"org.ocinit.boot.kind":"oneshot"}'
    boot_json
    cat >"$image/check" <<'END'
exec >/dev/report 2>&1
stty raw
sleep 4 # who looks more often is what is measured
until /init logs first | grep -q ">"; do sleep 1; done
/init logs first | sed 's/.*> /first /'
dmesg | sed -n 's/^\[ *\([0-9.]*\)\] Run \/init as init process/began \1/p'
/init poweroff
END
    cat >"$image/start" <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /run /tmp
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mount -t tmpfs tmpfs /run
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec >/dev/report 2>&1
$b stty raw
echo "before $($b cat /proc/uptime)"
echo "after $(/init run --bundle /containers/services/first once)"
$b sleep 1
$b poweroff -f
END
    # busybox's init does by a script what process 1 does by itself.
    mkdir -p "$image/rc" && cat >"$image/rc/start" <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mount -t tmpfs tmpfs /run
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec >/dev/report 2>&1
$b stty raw
echo "first $(crun run --no-pivot --bundle /containers/services/first once)"
dmesg | $b sed -n 's/^\[ *\([0-9.]*\)\] Run \/sbin\/init as init process/began \1/p'
$b sleep 1
$b poweroff -f
END
    mkdir -p "$image"/{sbin,usr/bin,proc,sys,dev,run,tmp}
    echo "::sysinit:/bin/busybox sh /rc/start" >"$image/etc/inittab"
    cp "$busybox" "$image/sbin/init"
    for file in proc sys dev run tmp; do echo x >"$image/$file/.keep"; done
    if [ "${target%%-*}" = "$(uname -m)" ] && command -v crun >/dev/null; then
        cp "$(command -v crun)" "$image/usr/bin/crun"
        # What it is linked with, where it is looked for.
        for file in $(ldd "$(command -v crun)" | grep -o '/[^ ]*'); do mkdir -p "$image${file%/*}" && cp -L "$file" "$image$file"; done
        sed -i 's/"ociVersion": "1.2.0"/"ociVersion": "1.0.2"/' "$image/containers/services/first/config.json"
    fi
    archive
    for round in 1 2 3; do
        boot 120 "quiet" || true
        began=$(tr -d '\r' <"$work/report" | sed -n 's/^began //p' | hundredths)
        first=$(tr -d '\r' <"$work/report" | sed -n 's/^first //p' | hundredths)
        [ -n "$first" ] && [ -n "$began" ] && [ $((first - began)) -lt "$ours" ] && ours=$((first - began))
        boot 60 "quiet rdinit=/start" || true
        before=$(tr -d '\r' <"$work/report" | sed -n 's/^before //p' | hundredths)
        after=$(tr -d '\r' <"$work/report" | sed -n 's/^after //p' | hundredths)
        [ -n "$before" ] && [ -n "$after" ] && [ $((after - before)) -lt "$theirs" ] && theirs=$((after - before))
        [ -e "$image/usr/bin/crun" ] || continue
        boot 60 "quiet rdinit=/sbin/init" || true
        began=$(tr -d '\r' <"$work/report" | sed -n 's/^began //p' | hundredths)
        first=$(tr -d '\r' <"$work/report" | sed -n 's/^first //p' | hundredths)
        [ -n "$first" ] && [ -n "$began" ] && [ $((first - began)) -lt "$crun" ] && crun=$((first - began))
    done
    echo "figure: from the exec of PID 1 to the first bundle's program $((ours * 10)) ms; ocinit run in a machine as cold $((theirs * 10)) ms;"
    echo "figure: busybox init and crun $([ "$crun" = 999999 ] && echo "not measured: no crun here" || echo "$((crun * 10)) ms")"
    is "both were measured" test "$ours" -gt 0 -a "$ours" -lt 999999 -a "$theirs" -gt 0 -a "$theirs" -lt 999999
    # A bound on time is only worth something on a machine that does nothing else.
    [ -z "${SOAK:-}" ] || is "the first program runs within 1.5 times of run" test $((ours * 2)) -le $((theirs * 3))
}

# How much of a counted scenario is done: a sample in `make test`, so many percent of it with SOAK, but no less than the sample.
count() {
    local part=$(($2 * ${SOAK:-0} / 100))
    echo $((part > $1 ? part : $1))
}

scenario_crashes() {
    # A crash loop costs the others nothing and leaves nothing: descriptors, memory, cgroups and state are as before.
    local crashes
    crashes=$(count 60 1000)
    new_image crashes
    bundle containers/services/quiet '["/bin/busybox","sleep","100000"]'
    bundle containers/services/loop "$(shell 'exit 1')" '{"org.ocinit.boot.delay":"1ms","org.ocinit.boot.delay-max":"1ms","org.ocinit.boot.limit":"0","org.ocinit.boot.enabled_":"x"}'
    sed -i 's/,"org.ocinit.boot.enabled_":"x"//' "$image/containers/services/loop/config.json"
    boot_json
    sed "s/CRASHES/$crashes/g" <<'END' | checks
until test "$(field loop restarts)" -ge 10; do sleep 1; done
fds=$(ls /proc/1/fd | wc -l)
anon=$(sed -n "s/RssAnon:[^0-9]*\([0-9]*\).*/\1/p" /proc/1/status)
pid=$(field quiet pid)
until test "$(field loop restarts)" -ge CRASHES; do sleep 1; done
/init service stop loop
sleep 2
echo "figure: $(field loop restarts) crashes"
check "no descriptor is left" eval "test \$(ls /proc/1/fd | wc -l) -le $fds"
check "no memory is left" eval "test \$(sed -n 's/RssAnon:[^0-9]*\([0-9]*\).*/\1/p' /proc/1/status) -le $((anon + 16))"
check "no cgroup is left" eval '! test -e /sys/fs/cgroup/loop'
check "no state is left" eval '! test -e /run/ocinit/loop'
check "the others were not touched" eval "test $pid = $(field quiet pid)"
END
    archive
    passes "$(count 240 2400)" "quiet"
    grep -h '^figure' "$work/report" || true
}

scenario_many() {
    # Two hundred bundles boot, in a time that is linear in their number.
    local number half all
    for number in $(count 20 100) $(count 40 200); do
        new_image many
        bundle containers/services/s1 '["/bin/busybox","sleep","100000"]'
        for index in $(seq 2 "$number"); do
            mkdir -p "$image/containers/services/s$index"
            sed 's,"path": "rootfs","path": "/containers/services/s1/rootfs",' "$image/containers/services/s1/config.json" >"$image/containers/services/s$index/config.json"
        done
        boot_json
        sed "s/NUMBER/$number/g" <<'END' | checks
sleep 3
for try in $(seq 600); do test $(/init service list | grep -c " ready ") = $((NUMBER + 1)) && break; sleep 2; done
check "NUMBER bundles are up" eval 'test $(/init service list | grep -c " ready ") = $((NUMBER + 1))'
dmesg | sed -n 's/.*booted in \([0-9]*\) ms.*/settled \1/p'
END
        archive
        MEMORY=1024 boot "$(count 240 1200)" "quiet" || true
        count_report
        half=${all:-0}
        all=$(tr -d '\r' <"$work/report" | sed -n 's/^settled //p')
        echo "figure: $number bundles are up after $all ms"
    done
    is "twice as many take at most three times as long" test "$half" -gt 0 -a "$all" -le $((half * 3))
}

# The machine's disk in QEMU's words: /dev/nvme0n1, which the kernel knows without a module.
DISK=(-device nvme,serial=1,drive=disk -drive "if=none,id=disk,format=raw,file=$work/disk")
# Makes it anew, with one ext4 file system.
disk() {
    need mkfs.ext4 e2fsprogs
    rm -f "$work/disk"
    truncate -s 64M "$work/disk"
    mkfs.ext4 -q -F "$@" "$work/disk"
}

scenario_power_cuts() {
    # The machine is killed at moments of a seeded sequence, while it boots, runs and shuts down: the next boot is good each time.
    local seed=${SEED:-20261124} round rounds
    rounds=$(count 4 50)
    echo "power_cuts: the seed is $seed"
    new_image power
    bundle containers/services/counter "$(shell 'while :; do n=$(cat /data/n 2>/dev/null || echo 0); echo $((n+1)) >/data/n.new; sync; mv /data/n.new /data/n; sleep 0.1; done')"
    sed -i 's,"mounts": \[,"mounts": [{"destination": "/data"\, "type": "bind"\, "source": "/data"\, "options": ["bind"]}\,,' "$image/containers/services/counter/config.json"
    mkdir -p "$image/data"
    echo x >"$image/data/.keep"
    boot_json '"mounts":[{"source":"/dev/nvme0n1","target":"/data","type":"ext4","wait-for":"10s"}],"clock":"/data/clock","random-seed":"/data/seed","bundles":[{"id":"counter","after":["mount-data:exited"]}]'
    checks <<'END'
check "the data is mounted" eval 'mount | grep -q "/data type ext4"'
check "the service answers" state counter ready
n=$(cat /data/n 2>/dev/null || echo 0)
check "and goes on" eval "test \$(cat /data/n) -gt $n"
echo "counted to $(cat /data/n)"
test -e /data/stop || { touch /data/stop; }
END
    archive
    disk
    RANDOM=$seed
    for round in $(seq "$rounds"); do
        local seconds=$((2 + RANDOM % 14)) tenth=$((RANDOM % 10))
        boot "$seconds.$tenth" "quiet" "${DISK[@]}" || true
        boot 240 "quiet" "${DISK[@]}" && powered_off=0 || powered_off=$?
        if tr -d '\r' <"$work/report" | grep -q '^not ok' || ! grep -q '^the end' "$work/report" || [ "$powered_off" != 0 ]; then
            wrong "power_cuts: after a cut at $seconds.$tenth s the next boot is good (round $round, status $powered_off)"
            cat "$work/report" && tail -n 5 "$work/console"
        else
            right "power_cuts: after a cut at $seconds.$tenth s the next boot is good (round $round)"
        fi
    done
    is "the file system is in order" e2fsck -fn "$work/disk"
}

scenario_real_root() {
    # From an initramfs that holds nothing but ocinit to the root file system on a disk; the boot goes on there.
    local root
    new_image root
    bundle containers/services/web '["/bin/busybox","sleep","100000"]'
    boot_json '"hostname":"board","sysctl":{"vm.swappiness":"7"}'
    checks <<'END'
check "the root is the disk" eval 'mount | grep -q "^/dev/nvme0n1 on / type ext4 (ro"'
check "what was mounted came along" eval 'mount | grep -q "^proc on /proc " && mount | grep -q "on /dev type devtmpfs"'
check "its bundles run" state web ready
check "the host has its name" test "$(cat /proc/sys/kernel/hostname)" = board
check "sysctl is written" test "$(cat /proc/sys/vm/swappiness)" = 7
END
    root=$image
    mkdir -p "$root"/{proc,sys,dev,run,tmp,newroot} "$root/containers/services/web/rootfs"/{proc,dev,run}
    name_ports
    disk -d "$root"
    image=$work/bare
    rm -rf "$image" && mkdir -p "$image" && cp "$ocinit" "$image/init"
    archive
    passes 120 "quiet root=/dev/nvme0n1 rootfstype=ext4 ro" "${DISK[@]}"
}

scenario_watchdog() {
    # The kernel's software watchdog: fed while the critical service lives, and no longer when it does not; then the machine resets.
    local module
    module=$(cross/modules "$target" watchdog softdog)
    new_image watchdog
    mkdir -p "$image/modules"
    for module in $module; do cp "$module" "$image/modules/"; done
    bundle containers/services/vital "$(shell 'sleep 8; exit 1')" '{"org.ocinit.boot.critical":"true","org.ocinit.boot.delay":"100s","org.ocinit.boot.delay-max":"100s"}'
    boot_json '"modules":["/modules/watchdog.ko","/modules/softdog.ko"],"watchdog":{"timeout":"4s"}'
    sed -i 's/"shutdown-timeout"/"shutdown-timeout"/' "$image/etc/ocinit/boot.json"
    checks <<'END'
check "the watchdog is there" test -e /dev/watchdog
dmesg | grep -i -E "ocinit|dog|module"
check "it is fed while the service lives" state vital ready
sleep 5
echo "still here"
sleep 100
echo "nobody reset the machine"
END
    archive
    # -no-reboot: a reset ends QEMU.
    boot 90 "quiet" && ended=0 || ended=$?
    is "it is fed longer than its time" grep -q '^still here' "$work/report"
    is "the machine is reset when the critical service is down" test "$ended" = 0
    is "and not switched off" eval '! grep -q "nobody reset" "$work/report"'
    is "by the watchdog" grep -qi 'softdog\|Initiating system reboot' "$work/console"
}

scenario_supervisor() {
    # Under another init `ocinit boot` is an ordinary supervisor: SIGTERM stops everything, and it ends with 0.
    new_image supervisor
    bundle containers/services/first '["/bin/busybox","sleep","100000"]'
    bundle containers/services/second "$(shell 'trap \"exit 0\" TERM; while :; do sleep 0.1; done')" '{"org.ocinit.boot.after":"first"}'
    bundle containers/services/third "$(shell 'while :; do echo tick; sleep 0.2; done')"
    bundle containers/services/asks '["/bin/busybox","sleep","100000"]' '{"org.ocinit.boot.watchdog":"1h"}'
    cp "$harness" "$image/containers-peer"
    checks <<'END'
mkdir /x; cp /containers-peer /x/containers
check "its services are up" eval 'state first ready && state second ready && state third ready && state asks ready'
check "it says so like anybody" eval 'kill -0 $supervisor'
check "there is room for one" eval '! /init boot /containers'
kill -9 $(field first pid)
check "it restarts what dies" eval 'state first ready && test $(field first restarts) = 1'
kill -9 $supervisor
wait $supervisor
before="$(field first pid) $(field third pid) $(field asks pid)"
lines=$(said third | wc -l)
/init boot /containers & supervisor=$!
check "the next one takes over what runs" eval 'state first ready && state second ready && test "$(field first pid) $(field third pid) $(field asks pid)" = "$before"'
check "what it writes is read again, behind what it wrote" eval 'test $(said third | wc -l) -gt $((lines + 2))'
/x/containers peer flood /run/ocinit/@boot/notify/asks/notify.sock 1 'STATUS=here again'
check "what it says is heard" eval 'test "$(field asks status)" = "\"here again\""'
kill -9 $(field first pid)
check "one that it took over and that dies is started again" eval 'state first ready && test $(field first restarts) = 2'
kill -QUIT $supervisor
check "its own next life knows them too" eval 'state third ready && test "$(field third pid)" = "$(echo $before | cut -d" " -f2)"'
check "one that it took over is stopped" eval '/init service stop third && state third stopped'
kill -TERM $supervisor
wait $supervisor
check "it ends with 0" test $? = 0
check "nothing is left" eval 'test -z "$(/init list -q)" && ! test -e /sys/fs/cgroup/first'
END
    sed -i '$d' "$image/check"
    {
        echo '#!/bin/busybox sh'
        for mount in proc:proc sysfs:sys devtmpfs:dev tmpfs:run cgroup2:sys/fs/cgroup; do
            echo "/bin/busybox mkdir -p /${mount#*:}; /bin/busybox mount -t ${mount%:*} none /${mount#*:}"
        done
        sed '1d' "$image/check" | sed 's,^stty raw,stty raw; /init boot /containers \& supervisor=$!,'
        echo "sleep 1; exec /bin/busybox poweroff -f"
    } >"$image/start"
    rm "$image/check"
    archive
    boot 120 "quiet rdinit=/start" || true
    count_report
}
