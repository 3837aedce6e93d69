"""What a study is made of before its first reader: trials, orders, the frozen protocol and the sealed key."""
