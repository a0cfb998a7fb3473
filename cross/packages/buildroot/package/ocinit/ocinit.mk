################################################################################
#
# ocinit
#
################################################################################

OCINIT_VERSION = 0.1.0
OCINIT_SITE = $(call qstrip,$(BR2_PACKAGE_OCINIT_SOURCE))
OCINIT_SITE_METHOD = local
OCINIT_LICENSE = Apache-2.0
OCINIT_LICENSE_FILES = LICENSE
# What was built in the checkout, and what belongs to other targets, need not be copied.
OCINIT_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude target

# The binary is static and brings its musl: what the target's C library is makes no difference.
ifeq ($(BR2_x86_64),y)
OCINIT_TARGET = x86_64-unknown-linux-musl
else ifeq ($(BR2_i386),y)
OCINIT_TARGET = i686-unknown-linux-musl
else ifeq ($(BR2_aarch64),y)
OCINIT_TARGET = aarch64-unknown-linux-musl
else ifeq ($(BR2_RISCV_64),y)
OCINIT_TARGET = riscv64gc-unknown-linux-musl
else ifeq ($(BR2_powerpc),y)
OCINIT_TARGET = powerpc-unknown-linux-musl
else ifeq ($(BR2_ARM_CPU_ARMV7A)$(BR2_ARM_EABIHF),yy)
OCINIT_TARGET = armv7-unknown-linux-musleabihf
else ifeq ($(BR2_ARM_CPU_ARMV4)$(BR2_ARM_CPU_ARMV5),y)
OCINIT_TARGET = armv5te-unknown-linux-musleabi
else
OCINIT_TARGET = arm-unknown-linux-musleabi
endif

define OCINIT_BUILD_CMDS
	cd $(@D) && cross/build $(OCINIT_TARGET)
endef

define OCINIT_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/target/dist/$(OCINIT_TARGET)/ocinit $(TARGET_DIR)/usr/sbin/ocinit
	$(INSTALL) -d -m 0755 $(TARGET_DIR)/etc/ocinit/bundles
	$(if $(BR2_PACKAGE_OCINIT_INIT),mkdir -p $(TARGET_DIR)/sbin)
	$(if $(BR2_PACKAGE_OCINIT_INIT),ln -sf ../usr/sbin/ocinit $(TARGET_DIR)/sbin/init)
	$(if $(BR2_PACKAGE_OCINIT_INIT),ln -sf usr/sbin/ocinit $(TARGET_DIR)/init)
endef

define OCINIT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/cross/packages/init/ocinit.service $(TARGET_DIR)/usr/lib/systemd/system/ocinit.service
endef

define OCINIT_LINUX_CONFIG_FIXUPS
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUPS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUP_BPF)
	$(call KCONFIG_ENABLE_OPT,CONFIG_CGROUP_PIDS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_BPF_SYSCALL)
	$(call KCONFIG_ENABLE_OPT,CONFIG_MEMCG)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NAMESPACES)
	$(call KCONFIG_ENABLE_OPT,CONFIG_PID_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_NET_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_UTS_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_IPC_NS)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP)
	$(call KCONFIG_ENABLE_OPT,CONFIG_SECCOMP_FILTER)
	$(call KCONFIG_ENABLE_OPT,CONFIG_TMPFS)
endef

$(eval $(generic-package))
