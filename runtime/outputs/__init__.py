"""Where results go: brokers, controllers, servers and files. Nothing here makes the loop wait."""
