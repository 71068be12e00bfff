"""What real servers get wrong: from what was seen to the most likely cause, and to the option that mends it.

The knowledge of docs/overrides.md and docs/errors.md, a file for each stretch of the way. Each trouble has a name that
stays.
"""
