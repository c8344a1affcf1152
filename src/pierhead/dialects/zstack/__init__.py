"""The ZStack AIOS dialect: REST and RPC, one dispatcher behind both."""
