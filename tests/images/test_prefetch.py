"""Results come in order, a few ahead, and an error where it belongs."""

import threading
import warnings

import pytest

from pipeline.images.decode import quiet
from pipeline.images.prefetch import READERS, prefetch


def test_results_come_in_the_order_of_the_works():
    assert [*prefetch(lambda work: work**2, range(50))] == [work**2 for work in range(50)]


def test_only_a_few_are_begun_before_they_are_asked_for():
    begun = []
    results = prefetch(begun.append, range(100))
    for _ in range(10):
        next(results)
    assert 10 <= len(begun) <= 10 + READERS + 1


def test_an_error_comes_in_its_turn_and_ends_the_rest():
    def read(work):
        if work == 3:
            raise ValueError(work)
        return work

    results = prefetch(read, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert [*results] == []


def test_works_are_done_in_other_threads():
    assert threading.get_ident() not in [*prefetch(lambda _: threading.get_ident(), range(5))]


def test_warnings_stay_quiet_until_the_last_thread_has_left():
    before = warnings.filters[:]
    inside, leave = threading.Event(), threading.Event()

    def other():
        with quiet():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with quiet():
        thread.start()
        inside.wait()
    assert warnings.filters != before
    leave.set()
    thread.join()
    assert warnings.filters == before
