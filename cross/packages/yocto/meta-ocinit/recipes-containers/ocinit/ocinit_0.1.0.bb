# Not tested: no Yocto tree can be fetched here. The binary comes from a release: built once, checked by its sum.
SUMMARY = "OCI container runtime and init for embedded Linux"
HOMEPAGE = "https://github.com/ocinit/ocinit"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

OCINIT_TARGET:x86-64 = "x86_64-unknown-linux-musl"
OCINIT_TARGET:x86 = "i686-unknown-linux-musl"
OCINIT_TARGET:aarch64 = "aarch64-unknown-linux-musl"
OCINIT_TARGET:arm = "arm-unknown-linux-musleabi"
OCINIT_TARGET:armv7a = "armv7-unknown-linux-musleabihf"
OCINIT_TARGET:armv7ve = "armv7-unknown-linux-musleabihf"
OCINIT_TARGET:armv5 = "armv5te-unknown-linux-musleabi"
OCINIT_TARGET:riscv64 = "riscv64gc-unknown-linux-musl"
OCINIT_TARGET:powerpc = "powerpc-unknown-linux-musl"

# A local build works as well: OCINIT_DIST = "file:///path/to/ocinit/target/dist/${OCINIT_TARGET}/ocinit" in local.conf. A release wants
# its line of SHA256SUMS as SRC_URI[ocinit.sha256sum].
OCINIT_DIST ?= "https://github.com/ocinit/ocinit/releases/download/v${PV}/ocinit-${OCINIT_TARGET};name=ocinit;downloadfilename=ocinit"
SRC_URI = "${OCINIT_DIST} file://ocinit.service"
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../init:"
S = "${WORKDIR}"

inherit systemd
SYSTEMD_SERVICE:${PN} = "ocinit.service"
SYSTEMD_AUTO_ENABLE = "enable"

# VIRTUAL-RUNTIME_init_manager = "ocinit-init" makes it process 1.
PACKAGES =+ "${PN}-init"
RPROVIDES:${PN}-init = "virtual-init-manager"
RDEPENDS:${PN}-init = "${PN}"
FILES:${PN}-init = "${base_sbindir}/init"
FILES:${PN} += "${systemd_system_unitdir} ${sysconfdir}/ocinit"
ALTERNATIVE_PRIORITY = "300"
INSANE_SKIP:${PN} += "already-stripped"

do_install() {
    install -D -m 0755 ${WORKDIR}/ocinit ${D}${sbindir}/ocinit
    install -D -m 0644 ${WORKDIR}/ocinit.service ${D}${systemd_system_unitdir}/ocinit.service
    install -d -m 0755 ${D}${sysconfdir}/ocinit/bundles ${D}${base_sbindir}
    ln -sf ${sbindir}/ocinit ${D}${base_sbindir}/init
}
