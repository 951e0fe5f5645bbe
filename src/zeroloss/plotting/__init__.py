"""House style and panels shared by several figures."""
