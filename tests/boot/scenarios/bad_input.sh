# shellcheck shell=bash
# Scenarios of what no machine should be like, or no bundle: each must end with a machine that is up. Sourced by tests/boot/run.

# A script that is process 1 before ocinit: it does what is said here, and becomes ocinit.
before_init() {
    {
        echo '#!/bin/busybox sh'
        echo 'b=/bin/busybox'
        cat
        echo 'exec /init'
    } >"$image/start"
}

scenario_no_console() {
    # No console and no open streams: it boots, and the shell of a terminal that is there runs.
    new_image no_console
    bundle containers/services/web '["/bin/busybox","sleep","100000"]'
    boot_json '"log":"console"'
    before_init <<'END'
$b mkdir -p /dev /proc
$b mount -t devtmpfs devtmpfs /dev
$b rm /dev/console
exec <&- >&- 2>&-
END
    checks <<'END'
check "the bundle is up without a console" state web ready
check "there is none" test ! -e /dev/console
check "streams lead nowhere" eval 'test $(ls -l /proc/1/fd/0 /proc/1/fd/1 /proc/1/fd/2 | grep -c /dev/null) = 3'
END
    archive
    passes 120 "quiet rdinit=/start"
}

scenario_no_cgroup() {
    # Something else is where cgroup v2 should be: process 1 goes on, and says of each bundle why it does not run.
    new_image no_cgroup
    bundle containers/services/web '["/bin/busybox","sleep","100000"]' '{"org.ocinit.boot.limit":"1","org.ocinit.boot.delay":"10ms"}'
    boot_json
    before_init <<'END'
$b mkdir -p /sys /proc
$b mount -t sysfs sysfs /sys
$b mount -t tmpfs tmpfs /sys/fs/cgroup
END
    checks <<'END'
check "the bundle is given up" state web failed
check "its log says why" eval 'said web | grep -i -q "cgroup"'
said web
check "and process 1 goes on" eval '/init service list | grep -q "^console *ready"'
END
    archive
    passes 120 "quiet rdinit=/start"
}

scenario_exhausted() {
    # Memory and processes are used up by bundles that nothing limits: the others and process 1 outlive it.
    new_image exhausted
    bundle containers/services/web '["/bin/busybox","httpd","-f","-p","80","-h","/"]'
    bundle containers/services/phoenix "$(shell 'sleep 0.5; exit 1')" '{"org.ocinit.boot.delay":"300ms","org.ocinit.boot.delay-max":"300ms","org.ocinit.boot.limit":"0"}'
    bundle containers/services/bomb "$(shell 'b() { b | b & }; b; n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done')" '{"org.ocinit.boot.restart":"no"}'
    # tail keeps what has no end of line.
    bundle containers/services/glutton '["/bin/busybox","tail","-n","1","/zero"]' '{"org.ocinit.boot.restart":"no","org.ocinit.boot.after":"bomb:ended path:/now"}'
    sed -i 's,"mounts": \[,"mounts": [{"destination": "/zero"\, "type": "bind"\, "source": "/dev/zero"\, "options": ["bind"]}\,,' "$image/containers/services/glutton/config.json"
    boot_json '"sysctl":{"kernel.pid_max":"360"}'
    checks <<'END'
# A shell that cannot fork ends: nothing is run before the bomb is over.
read -t 25 nothing </dev/the-console
check "the bomb is over" eval 'state bomb done || state bomb failed'
check "none of it is left" eval '! test -e /sys/fs/cgroup/bomb'
before=$(field phoenix restarts)
check "another goes on being started" eval "test \$(field phoenix restarts) -gt $before"
check "who ran before runs" eval 'state web ready && test $(field web restarts) = 0'
touch /now
check "the glutton is ended" state glutton failed
check "by the kernel" test $(field glutton exit) = 137
check "it has not taken the others along" eval 'state web ready && wget -q -O /dev/null http://127.0.0.1/bin/busybox'
check "process 1 does what it is asked" eval '/init service restart web && state web ready'
END
    archive
    MEMORY=256 passes 240 "quiet"
}

scenario_three_faults() {
    # The third bug of ours within a minute ends in a reboot, which ends QEMU.
    new_image faults
    bundle containers/services/web '["/bin/busybox","sleep","100000"]'
    boot_json
    checks <<'END'
check "it is up" state web ready
pid=$(field web pid)
ready() { grep -q '^SigCgt:.*[1-9a-f]' /proc/1/status; }
for number in 1 2; do
    check "process 1 is ready for fault $number" ready
    kill -SEGV 1
    sleep 1
    check "fault $number is survived" eval "state web ready && test \$(field web pid) = $pid"
done
check "it stands in the kernel's log" eval 'test $(dmesg | grep -c "a bug of ours") = 2'
check "process 1 is ready for the third" ready
echo "the end"
kill -SEGV 1
sleep 60
echo "not ok it is still here"
END
    sed -i '/^\/init poweroff/d' "$image/check"
    archive
    boot 120 "quiet loglevel=6" && ended=0 || ended=$?
    count_report
    is "the third fault reboots" test "$ended" = 0
    is "and says why" grep -q "reboot, because of three faults" "$work/console"
}

scenario_ten_thousand() {
    # Ten thousand bundles: a thousand are taken, in one line it is said that the others are not, and the machine is up.
    local number
    new_image ten_thousand
    bundle containers/services/web '["/bin/busybox","sleep","100000"]' '{"org.ocinit.boot.after":"missing"}'
    bundle containers/services/real '["/bin/busybox","sleep","100000"]'
    {
        printf '{"version":1,"console":[{"args":["/bin/busybox","sh","/check"],"tty":"/dev/report"}],"log-size":"1k","bundles":['
        for number in $(seq 10000); do printf '{"id":"x%s","bundle":"/containers/services/real","enabled":false},' "$number"; done
        printf '{"id":"real","restart":"always"}]}'
    } >"$image/etc/ocinit/boot.json"
    checks <<'END'
check "those that come first are booted" state real ready
check "the others are counted" eval 'dmesg | grep -q "9002 bundles are left out"'
check "one that waits for a bundle that is not there is broken" eval 'state web failed && dmesg | grep -q "web: after missing: there is no such bundle"'
echo "figure: 1000 services, process 1 has $(sed -n "s/VmRSS:[^0-9]*\([0-9]*\).*/\1/p" /proc/1/status) KB resident"
END
    archive
    passes 240 "quiet"
    grep -h '^figure' "$work/report" || true
}

scenario_stuck() {
    # A bundle that hangs while it is created holds up neither the others nor the shutdown; a critical one that is bad ends in its give-up action.
    new_image stuck
    bundle containers/services/hangs '["/bin/busybox","sleep","100000"]'
    sed -i 's/"linux": {/"hooks": {"createRuntime": [{"path": "\/bin\/busybox", "args": ["busybox", "sleep", "1000"]}]}, "linux": {/' "$image/containers/services/hangs/config.json"
    bundle containers/services/web '["/bin/busybox","sleep","100000"]'
    boot_json
    checks <<'END'
check "the others are up" state web ready
check "it hangs" state hangs preparing
END
    archive
    boot 90 "quiet" && powered_off=0 || powered_off=$?
    count_report
    is "the machine is switched off nevertheless" test "$powered_off" = 0
    new_image critical
    bundle containers/services/vital '["/no/such/program"]' '{"org.ocinit.boot.critical":"true","org.ocinit.boot.limit":"1","org.ocinit.boot.delay":"10ms","org.ocinit.boot.give-up":"poweroff"}'
    boot_json
    echo 'exec >/dev/report; /bin/busybox sleep 100; echo "not ok the machine is still up"' >"$image/check"
    archive
    boot 60 "quiet loglevel=6" && powered_off=0 || powered_off=$?
    is "a critical bundle that is bad does what its give-up says" test "$powered_off" = 0
    is "which is said" grep -q "power off, because of vital" "$work/console"
}
