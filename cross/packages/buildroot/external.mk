include $(sort $(wildcard $(BR2_EXTERNAL_OCINIT_PATH)/package/*/*.mk))
