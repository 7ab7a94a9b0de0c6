"""Scores are computed in the whole of float32 wherever they are computed, and the switches go back as they were."""

import threading

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from pipeline.networks.resnet import LatentResNet
from pipeline.networks.saved_network import predict
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.runtime.device import UNIT_THREADS, full_float32, prepare_torch
from tests.helpers.models import encoder_of, random_kl


def switches():
    return torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic


@pytest.fixture(autouse=True)
def usual():
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
        yield


def test_tf32_is_off_inside_and_on_again_after_the_last_block():
    with full_float32():
        with full_float32():
            assert switches() == (False, True)
        assert switches() == (False, True)
    assert switches() == (True, False)


def test_an_error_turns_the_switches_back():
    with pytest.raises(ZeroDivisionError), full_float32():
        raise ZeroDivisionError
    assert switches() == (True, False)


def test_what_the_user_had_turned_off_stays_off():
    torch.backends.cudnn.allow_tf32 = False
    with full_float32():
        pass
    assert switches() == (False, False)


def test_a_block_of_another_thread_that_ends_turns_nothing_back():
    inside, leave, ended = threading.Event(), threading.Event(), threading.Event()

    def other():
        with full_float32():
            inside.set()
            leave.wait(60)
        ended.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(60)
    with full_float32():
        leave.set()
        assert ended.wait(60)
        assert switches() == (False, True)
    thread.join()
    assert switches() == (True, False)


def test_encoder_and_network_compute_in_full_float32(monkeypatch):
    seen = []
    for of in (AutoencoderKL, LatentResNet):
        name = "encode" if of is AutoencoderKL else "forward"
        compute = getattr(of, name)
        monkeypatch.setattr(of, name, lambda self, x, compute=compute: seen.append(switches()) or compute(self, x))
    latents = encoder_of(random_kl()).encode(torch.zeros(1, 3, 32, 32))
    network = LatentResNet(
        latents.shape[1], 3, NetworkParams(width=8, blocks=(1,), latent_mean=False), LinearParams(kind="linear")
    )
    predict(network, latents)
    assert seen == [(False, True)] * 2
    assert switches() == (True, False)


def test_stages_repeat_to_the_bit_and_fill_no_memory_to_do_so():
    prepare_torch(UNIT_THREADS)
    assert torch.get_deterministic_debug_mode() == 2
    assert not torch.utils.deterministic.fill_uninitialized_memory
