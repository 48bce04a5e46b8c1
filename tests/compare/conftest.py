"""The division of the comparison into parts, which run beside each other."""


def pytest_addoption(parser):
    parser.addoption("--part", type=int,
                     help="run the tests of this part only, which is 0 or 1")
