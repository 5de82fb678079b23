"""What do people hear? A blind listening test as a folder that any browser opens.

    build.py       results -> equally loud stimuli with meaningless names, trials, and a key
    page/          the test itself: static files, works from a folder, a stick or any web server
    collect.py     a small server on this machine that shows the page and keeps the answers
    score.py       answers and key -> which method won, with what certainty
    webmushra.py   the same stimuli as a webMUSHRA experiment

Rule: nothing in the test's `test/` folder tells which method made a stimulus. Only `key.json`,
beside it, does.
"""
