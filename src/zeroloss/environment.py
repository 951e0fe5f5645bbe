"""Names of the environment variables through which the workflow tells its jobs where they are."""

DATA_VARIABLE = "ZEROLOSS_DATA"
DEVICE_VARIABLE = "ZEROLOSS_DEVICE"
