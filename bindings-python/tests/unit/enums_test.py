"""Our enumerations and grpcio's are equal, in both directions and in sets and dicts."""

import copy
import pickle

import grpc
import pytest

import linkspan

PAIRS = [
    (getattr(linkspan, name)[member.name], member)
    for name in ("StatusCode", "ChannelConnectivity")
    for member in getattr(grpc, name)
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=str)
def test_members_of_the_same_name_are_equal_and_hash_equal(ours, theirs):
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert ours.value == theirs.value
    assert {ours: 1}[theirs] == 1
    assert {theirs: 1}[ours] == 1


def test_other_members_differ():
    assert linkspan.StatusCode.OK != grpc.StatusCode.CANCELLED
    assert grpc.StatusCode.OK != linkspan.StatusCode.CANCELLED
    assert linkspan.StatusCode.OK != linkspan.ChannelConnectivity.IDLE
    assert linkspan.StatusCode.OK != (0, "ok")


def test_the_enumerations_have_the_same_members():
    for name in ("StatusCode", "ChannelConnectivity", "Compression"):
        assert [m.name for m in getattr(linkspan, name)] == [m.name for m in getattr(grpc, name)]


def test_members_survive_pickle_and_copy_as_themselves():
    for member in linkspan.StatusCode:
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.deepcopy(member) is member
