"""When a part is OK, NG or neither: temperature and limits from what mistakes cost."""
