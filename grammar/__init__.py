"""The syntax of a spec: secgen.lark is its only definition."""
