from engine.errors import ERROR_CODES as ENGINE_CODES
from osc_protocol import ERROR_CODES


def test_every_code_of_the_engine_is_explained_to_clients():
    assert set(ENGINE_CODES) <= set(ERROR_CODES)
