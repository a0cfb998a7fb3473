# shellcheck shell=bash
# Finds a Rust toolchain and a C library for a target, and installs what is missing. Sourced, from the top of the tree.
#
# Must: say what it chose and what it installed. Mustn't: change how the machine is set up beyond installing packages.

TOOLS=${TOOLS:-target/cross}
# A panic is a bug of ours, and ends the process at once (SIGILL or SIGTRAP): its sentences and places would be a fifth of the binary.
# Both flags need core built from source.
SILENT_PANICS="'-Cpanic=immediate-abort','-Zunstable-options','-Zlocation-detail=none'"
# Sequences of machine code that come again become functions: 1 % smaller; what is slowed by a call more is not where the time goes.
OUTLINED="'-Cllvm-args=-enable-machine-outliner=always','-Cllvm-args=-inline-max-stacksize=512'"
DEBIAN_RUST=/usr/lib/rustlib/src/rust/library
export DEBIAN_FRONTEND=noninteractive
export PATH="$PATH:$HOME/.cargo/bin"

say() { echo "cross: $*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Debian's packages, on a machine that is root's; anybody else is told what to install.
install() {
    has apt-get || die "please install by hand (there is no apt-get here): $*"
    [ "$(id -u)" = 0 ] || die "please install as root: apt-get install $*"
    say "installs by apt-get: $*"
    local get="apt-get -q -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=600" updated=$TOOLS/apt-updated
    # Lists may be absent or old (an old list installs an old compiler). A list that has no say here may fail to update.
    [ -n "$(find "$updated" -mmin -1440 2>/dev/null)" ] || $get update >"$TOOLS/apt.log" 2>&1 || say "apt-get update had errors; going on"
    touch "$updated"
    $get install "$@" >>"$TOOLS/apt.log" 2>&1 || { tail -n 20 "$TOOLS/apt.log" >&2; die "could not install: $*"; }
}

# need COMMAND-OR-PATH PACKAGE...: installs the packages unless it is there.
need() {
    local wanted=$1
    shift
    [ -e "$wanted" ] || has "$wanted" || install "$@"
}

# The triple that a name or its first word stands for; nothing stands for this machine.
triple() {
    local name=${1:-$(uname -m)} known
    case $name in armv7l | armv8l) name=armv7 ;; amd64) name=x86_64 ;; arm64) name=aarch64 ;; esac
    case $name in i386 | i586) name=i686 ;; riscv64) name=riscv64gc ;; armv6 | armv6l | armel) name=arm ;; armv5 | armv5tel) name=armv5te ;; ppc) name=powerpc ;; esac
    for known in $(targets every); do
        case $known in "$name" | "$name"-*) echo "$known"; return ;; esac
    done
    die "no such target: $name (there are: $(targets every | tr '\n' ' '))"
}

# targets [all | tier1 | every]: `tier1` boots and runs the container suites; tier 2 builds, and what was tested of it
# docs/boards.md says; tier 0 would be a recipe that nobody has seen succeed, built only where it is named.
targets() {
    local target tier
    for target in $(awk '!/^#/ && NF { print $1 }' cross/budgets); do
        tier=$(sed -n 's/^tier=//p' "cross/$target/target.env")
        case ${1:-all}$tier in tier1[02] | all0) ;; *) echo "$target" ;; esac
    done
}

# The variables of a target's folder: debian_arch, and debian_suite where this machine's has not that architecture; where its musl comes
# from (musl_dir, or zig_target); opt_level, where it is not Cargo.toml's; qemu, tier. For those that boot: kernel_package; busybox_file, where the package busybox-static has it elsewhere than in bin; machine (QEMU's command) and machine_package; console and
# console_numbers (its device); report_port and report_device (the second serial port, in the machine and for QEMU).
load_target() {
    unset debian_arch debian_suite musl_dir zig_target opt_level qemu tier kernel_package busybox_file machine machine_package console console_numbers report_port report_device
    # shellcheck source=/dev/null
    . "cross/$1/target.env"
}

is_native() { case $1 in "$(uname -m)"-*) true ;; *) false ;; esac; }

# A cargo for this machine itself: for tests and lints. Sets CARGO.
host_cargo() {
    CARGO=$(command -v cargo || true)
    is_new_enough "${CARGO:-cargo}" && return
    say "this machine's cargo is absent or older than $(rust_version)"
    debian_cargo
    CARGO=/usr/bin/cargo
}

# Debian's own, and the certificates by which cargo knows the registry.
debian_cargo() {
    need /etc/ssl/certs/ca-certificates.crt ca-certificates
    is_new_enough /usr/bin/cargo || install rustc-web cargo-web
    is_new_enough /usr/bin/cargo || die "Debian's cargo is older than $(rust_version): are its security updates enabled?"
}

rust_version() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# Whether a cargo is at least as new as Cargo.toml wants.
is_new_enough() {
    local have
    have=$("$1" --version 2>/dev/null | cut -d' ' -f2)
    [ -n "$have" ] && [ "$(printf '%s\n' "$(rust_version)" "$have" | sort -V | head -n 1)" = "$(rust_version)" ]
}

# Whether rustup has the target's library and core's source, or can fetch them. A refusal is remembered: asking costs every build its time.
rustup_serves() {
    local target=$1 refused="$TOOLS/$1/rustup-refused"
    has rustup && is_new_enough "$(rustup which cargo 2>/dev/null)" || return 1
    rustup_has "$target" && return
    [ ! -e "$refused" ] || return 1
    say "asks rustup for $target and rust-src"
    RUSTUP_MAX_RETRIES=0 timeout 120 rustup target add "$target" >"$TOOLS/rustup.log" 2>&1 &&
        RUSTUP_MAX_RETRIES=0 timeout 120 rustup component add rust-src >>"$TOOLS/rustup.log" 2>&1 && return
    cp "$TOOLS/rustup.log" "$refused"
    say "rustup could not add them (why is in $refused; remove that file to ask again)"
    return 1
}

rustup_has() {
    rustup target list --installed 2>/dev/null | grep -qx "$1" &&
        [ -e "$("$(rustup which rustc)" --print sysroot)/lib/rustlib/src/rust/library/core" ]
}

# cargo_for TARGET SCOPE ARGS...: runs cargo so that what it builds is static and for TARGET.
# SCOPE is `core`; `all` is the same with std, for dependencies that want it; `std` is for the library's own tests. TOOLCHAIN=rustup or =debian decides what else is found out.
cargo_for() {
    local target=$1 scope=$2
    shift 2
    load_target "$target"
    mkdir -p "$TOOLS/$target"
    case ${TOOLCHAIN:-} in
    rustup)
        rustup_serves "$target" || die "rustup does not serve $target"
        cargo_by_rustup "$target" "$scope" "$@"
        ;;
    debian) cargo_by_debian "$target" "$scope" "$@" ;;
    '') if rustup_serves "$target"; then cargo_by_rustup "$target" "$scope" "$@"; else cargo_by_debian "$target" "$scope" "$@"; fi ;;
    *) die "TOOLCHAIN is rustup or debian, not $TOOLCHAIN" ;;
    esac
}

# rustup's targets bring musl's start-up files and libc.a. Their core comes prebuilt for speed, with unwind tables: core from source
# makes the binary 43 KB smaller. Their prebuilt std serves the tests; it unwinds, and wants its tables.
cargo_by_rustup() {
    local target=$1 scope=$2
    shift 2
    case $scope in
    core | all) set -- "$@" "-Zbuild-std=$(parts "$scope")" --config "target.$target.rustflags=[$SILENT_PANICS,$OUTLINED]" ;;
    std) set -- "$@" --config "target.$target.rustflags=['-Cforce-unwind-tables=yes']" ;;
    esac
    say "$target: rustup's $("$(rustup which rustc)" --version), $([ "$scope" = std ] && echo its std || echo "$(parts "$scope") from source"), its musl, rust-lld"
    RUSTC=$(rustup which rustc) RUSTC_BOOTSTRAP=1 "$(rustup which cargo)" "$@" --target "$target"
}

# What is built from source for a scope.
parts() {
    case $1 in core) echo core,compiler_builtins ;; all) echo std,panic_abort ;; std) echo std,test,panic_abort ;; esac
}

# Debian's compiler has no musl target: core (or std) is built from source, and musl comes from the target's own musl-dev.
cargo_by_debian() {
    local target=$1 scope=$2 parts libc link
    shift 2
    parts=$(parts "$scope")
    debian_cargo
    need "$DEBIAN_RUST/core" rust-web-src
    need ld.lld lld
    libc=$(libc "$target") || exit 1
    say "$target: Debian's $(/usr/bin/rustc --version), $parts from source, musl in $libc, ld.lld"
    link="'-Clinker-flavor=ld.lld','-Clink-self-contained=no','-Clink-arg=$libc/crt1.o','-Clink-arg=-L$libc'"
    # zig keeps memcpy and the like apart from the rest of musl.
    [ -z "${zig_target:-}" ] || link="$link,'-Clink-arg=-lzigc','-Clink-arg=-lcompiler_rt'"
    [ "$scope" = std ] || link="$link,$SILENT_PANICS,$OUTLINED"
    if [ "$scope" != core ]; then
        # std's panic machinery names an unwinder even where panics abort.
        # Some targets would have it from a shared library, were they not told to be static.
        link="$link,'-Lnative=$libc','-Ctarget-feature=+crt-static'"
        [ -n "${zig_target:-}" ] || link="$link,'-Lnative=$(library "$target" libunwind-14-dev usr/lib/llvm-14/lib/libunwind.a)'"
    fi
    [ "$scope" != std ] || set -- "$@" -Zpanic-abort-tests
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo "$@" --target "$target" "-Zbuild-std=$parts" \
        --config "target.$target.linker='ld.lld'" --config "target.$target.rustflags=[$link]"
}

# libc TARGET: the folder with musl's crt1.o and libc.a: of Debian's musl-dev where Debian has the architecture, else made by zig.
libc() {
    local target=$1
    if [ -n "${musl_dir:-}" ]; then library "$target" musl-dev "usr/lib/$musl_dir/libc.a"; else libc_by_zig "$target"; fi
}

# zig carries musl's sources, and builds them for whatever it links. Linking an empty program leaves the libraries in its cache:
# libc.a, libzigc.a and libcompiler_rt.a with what zig keeps apart from it, and the unwinder that std's tests name.
ZIG_VERSION=0.15.2
libc_by_zig() {
    local target=$1 folder=$PWD/$TOOLS/$1/musl scratch=$PWD/$TOOLS/$1/zig link
    if [ ! -e "$folder/libc.a" ]; then
        fetch_zig
        say "builds musl for $zig_target by zig $ZIG_VERSION"
        rm -rf "$scratch" "$folder.part"
        mkdir -p "$scratch" "$folder.part"
        echo 'int main(void) { return 0; }' >"$scratch/empty.c"
        ZIG_GLOBAL_CACHE_DIR=$scratch ZIG_LOCAL_CACHE_DIR=$scratch "$TOOLS/zig/ziglang/zig" cc -target "$zig_target" -Os -static \
            "$scratch/empty.c" -lunwind -o "$scratch/empty" --verbose 2>"$scratch/log" ||
            { tail -n 20 "$scratch/log" >&2; die "zig could not build musl for $zig_target"; }
        # Its last line links the program; one before may join the parts of crt1.o.
        link=$(grep -a '^ld.lld' "$scratch/log" | tail -n 1)
        # shellcheck disable=SC2046 # no path here has a space
        cp $(grep -o '[^ ]*/\(crt1.o\|lib[a-z_]*.a\)' <<<"$link") "$folder.part/" && [ -e "$folder.part/libc.a" ] && [ -e "$folder.part/crt1.o" ] ||
            die "zig $ZIG_VERSION does not say where its crt1.o and libc.a are"
        mv "$folder.part" "$folder"
        rm -rf "$scratch"
    fi
    echo "$folder"
}

# PyPI's ziglang, by pip or (a fresh Debian has none) by apt's. Once: 90 MB to fetch, 380 MB on disk.
fetch_zig() {
    [ ! -x "$TOOLS/zig/ziglang/zig" ] || return 0
    local pip=pip
    has pip || { need pip3 python3-pip; pip=pip3; }
    say "fetches ziglang $ZIG_VERSION from PyPI"
    rm -rf "$TOOLS/zig" "$TOOLS/zig.part"
    "$pip" install --quiet --no-deps --target "$TOOLS/zig.part" "ziglang==$ZIG_VERSION" >"$TOOLS/zig.log" 2>&1 ||
        { rm -rf "$TOOLS/zig.part"; tail -n 5 "$TOOLS/zig.log" >&2; die "could not fetch ziglang: without network put it into $TOOLS/zig by pip install --target"; }
    mv "$TOOLS/zig.part" "$TOOLS/zig"
}

# library TARGET PACKAGE FILE: the folder that holds FILE of PACKAGE for TARGET's architecture; unpacked, not installed.
library() {
    local target=$1 package=$2 file=$3 root=$PWD/$TOOLS/$1/root
    [ -e "$root/$file" ] || fetch "$package" "$debian_arch" "$root" "${debian_suite:-}"
    [ -e "$root/$file" ] || die "$package for $debian_arch has no $file"
    dirname "$root/$file"
}

# The Debian mirror that the machine itself uses; nothing where none is set up.
debian_mirror() {
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } | grep -oE 'https?://[^ ]*/debian/?( |$)' | sed -n 's/ //; 1p' || true
}

# apt_for ARCHITECTURE [SUITE]: sets `options` and `apt`: an apt of its own, since the machine's need not know the architecture or the suite.
apt_for() {
    local arch=$1 suite=${2:-} mirror
    has apt-get || die "needs Debian packages for $arch, and there is no apt-get here"
    apt="$PWD/$TOOLS/apt-$arch${suite:+-$suite}"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    options="-q -o APT::Architecture=$arch -o APT::Architectures=$arch -o APT::Sandbox::User=$(id -un)"
    options="$options -o Dir::State::Lists=$apt/lists -o Dir::Cache=$apt/cache"
    if [ -n "$suite" ]; then
        # With the keys that the machine itself uses.
        mirror=$(debian_mirror)
        [ -n "$mirror" ] || die "no Debian mirror is set up here, so $suite cannot be had"
        echo "deb $mirror $suite main" >"$apt/sources.list"
        options="$options -o Dir::Etc::SourceList=$apt/sources.list -o Dir::Etc::SourceParts=-"
    fi
    [ -e "$apt/updated" ] || {
        # Some other vendor's list may lack the architecture; what counts is whether the package can be had.
        apt-get $options update >"$apt/log" 2>&1 || say "apt-get update had errors; going on"
        touch "$apt/updated"
    }
}

# depends PATTERN PACKAGE ARCHITECTURE [SUITE]: the packages of such names that a package depends on.
depends() {
    local apt options
    apt_for "$3" "${4:-}"
    apt-cache $options depends "$2" 2>/dev/null | sed -n 's/^ *Depends: //p' | grep -E "^($1)-" || true
}

# fetch PACKAGE ARCHITECTURE ROOT [SUITE]: unpacks Debian's package into ROOT.
fetch() {
    local package=$1 arch=$2 root=$3 apt options
    say "downloads $package for $arch by apt-get"
    apt_for "$arch" "${4:-}"
    mkdir -p "$root"
    (cd "$apt/cache" && rm -f "$package"_*.deb && apt-get $options download "$package" >>"$apt/log" 2>&1) || {
        rm -f "$apt/updated"
        tail -n 20 "$apt/log" >&2
        die "could not download $package for $arch"
    }
    dpkg-deb -x "$apt/cache/$package"_*.deb "$root"
    rm -f "$apt/cache/$package"_*.deb
}
