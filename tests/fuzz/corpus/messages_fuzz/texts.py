TOOLS_SYSTEM_TEMPLATE = """a {dsml_token}{thinking_start_token}b{thinking_end_token}
{tool_schemas}
c"""
response_format_template: str = "d\n{schema}"
