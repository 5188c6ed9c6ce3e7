"""What tells which base model a file was made for, and what wins where several tell."""

from __future__ import annotations

import pytest

from models_catalog.base_models import BaseModel, best, is_one_of, of_header, of_path, of_sd_version
from models_catalog.safetensors_header import Header


def told(shapes=(), **metadata):
    words = {name.replace("__", "."): value for name, value in metadata.items()}
    found = of_header(Header(8, words, dict(shapes)))
    return (found.name, found.source) if found else None


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("stable-diffusion-v1", "SD 1.5"),
        ("stable-diffusion-v1/lora", "SD 1.5"),
        ("stable-diffusion-v2-512", "SD 2.1"),
        ("stable-diffusion-v2-768-v", "SD 2.1 768"),
        ("stable-diffusion-xl-v1-base", "SDXL 1.0"),
        ("stable-diffusion-xl-v1-base/lora", "SDXL 1.0"),
        ("stable-diffusion-xl-v1-refiner", "SDXL 1.0"),
        ("stable-diffusion-3", "SD 3"),
        ("stable-diffusion-3-m", "SD 3"),
        ("stable-diffusion-3-5-large", "SD 3.5 Large"),
        ("stable-diffusion-v3.5-large", "SD 3.5 Large"),
        ("stable-diffusion-3-5-medium", "SD 3.5 Medium"),
        ("flux-1-dev", "Flux.1 D"),
        ("flux-dev/lora", "Flux.1 D"),
        ("Flux.1-dev/lora", "Flux.1 D"),
        ("flux-1-schnell", "Flux.1 S"),
        ("chroma", "Chroma"),
        ("lumina-2", "Lumina"),
        ("anima-preview", "Anima"),
        ("hunyuan-image-2.1", "Hunyuan Image 2.1"),
    ],
)
def test_the_architecture_of_the_header_is_understood(architecture, name):
    assert told(modelspec__architecture=architecture) == (name, "header")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"modelspec__implementation": "https://github.com/black-forest-labs/flux"}, "Flux.1 D"),
        ({"ss_base_model_version": "sd_v1"}, "SD 1.5"),
        ({"ss_base_model_version": "sd_v2_v"}, "SD 2.1"),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL 1.0"),
        ({"ss_base_model_version": "flux1"}, "Flux.1 D"),
        ({"ss_base_model_version": "chroma"}, "Chroma"),
        ({"ss_base_model_version": "lumina2"}, "Lumina"),
        ({"ss_v2": "True"}, "SD 2.1"),
        ({"ss_network_module": "networks.lora_flux"}, "Flux.1 D"),
        ({"ss_network_module": "networks.lora_sd3"}, "SD 3"),
        ({"ss_sd_model_name": "ponyDiffusionV6XL.safetensors"}, "Pony"),
        ({"ss_sd_model_name": "animagineXLV31.safetensors"}, "SDXL 1.0"),
        ({"modelspec__title": "made on NoobAI"}, "NoobAI"),
        # Empty words of a trainer count as none.
        ({"modelspec__architecture": "", "ss_base_model_version": "sd_v1"}, "SD 1.5"),
        # The better source wins.
        ({"modelspec__architecture": "flux-1-dev", "ss_v2": "True"}, "Flux.1 D"),
        # What looks alike is told apart by what it was trained on, nothing else is.
        (
            {"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_name": "illustriousXL"},
            "Illustrious",
        ),
        ({"ss_base_model_version": "sd_v1", "ss_sd_model_name": "ponyV6"}, "SD 1.5"),
    ],
)
def test_words_of_the_header_are_read_in_the_order_of_trust(words, name):
    assert told(**words) == (name, "header")


_ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_PREFIX = "model.diffusion_model."
_FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
_JOINT = "joint_blocks.0.context_block.attn."


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        ({"cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77)}, "SD 1.5"),
        ({"cond_stage_model.transformer.embeddings.position_ids": (1, 77)}, "SD 1.5"),
        ({_PREFIX + _ATTENTION: (320, 768)}, "SD 1.5"),
        ({"cond_stage_model.model.ln_final.bias": (1024,)}, "SD 2.1"),
        ({_ATTENTION: (320, 1024)}, "SD 2.1"),
        ({_PREFIX + "label_emb.0.0.weight": (1280, 2816)}, "SDXL 1.0"),
        ({"label_emb.0.0.weight": (1536, 2560)}, "SDXL 1.0"),
        ({"conditioner.embedders.0.model.ln_final.bias": (1280,)}, "SDXL 1.0"),
        ({_PREFIX + _FLUX: (128,), _PREFIX + "guidance_in.in_layer.weight": (1, 1)}, "Flux.1 D"),
        ({_FLUX: (128,)}, "Flux.1 S"),
        ({_FLUX: (128,), "distilled_guidance_layer.in_proj.bias": (1,)}, "Chroma"),
        ({"double_stream_modulation_img.lin.weight": (36864, 1)}, "Flux.2 D"),
        ({"double_stream_modulation_img.lin.weight": (18432, 1)}, "Flux.2 Klein 4B"),
        ({_JOINT + "qkv.weight": (1, 1)}, "SD 3"),
        ({_JOINT + "qkv.weight": (1, 1), _JOINT + "ln_q.weight": (1,)}, "SD 3.5 Medium"),
        ({_JOINT + "qkv.weight": (1, 1), _JOINT + "proj.bias": (2432,)}, "SD 3.5 Large"),
        ({"double_layers.0.attn.w1q.weight": (1,)}, "AuraFlow"),
        # LoRAs
        ({"lora_unet_double_blocks_7_img_attn_proj.lora_down.weight": (8, 8)}, "Flux.1 D"),
        (
            {"transformer.single_transformer_blocks.30.attn.to_k.lora_A.weight": (8, 8)},
            "Flux.1 D",
        ),
        ({"diffusion_model.double_blocks.3.img_mod.lin.lora_A.weight": (8, 8)}, "Flux.1 D"),
        (
            {"lora_unet_down_blocks_2_attentions_1_transformer_blocks_9_ff.lora_up.weight": (8, 8)},
            "SDXL 1.0",
        ),
        ({"lora_te2_text_model_x.lora_down.weight": (8, 8)}, "SDXL 1.0"),
        ({"lora_te1_text_model_x.lora_down.weight": (8, 8)}, "SDXL 1.0"),
        (
            {
                "lora_te1_text_model_x.lora_down.weight": (8, 8),
                "lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (8, 8),
            },
            "Flux.1 D",
        ),
        ({"lora_unet_mid_block_attn2_to_k.lora_down.weight": (8, 768)}, "SD 1.5"),
        ({"lora_unet_mid_block_attn2_to_k.lora_down.weight": (8, 1024)}, "SD 2.1"),
        ({"lora_unet_mid_block_attn2_to_k.lora_down.weight": (8, 2048)}, "SDXL 1.0"),
        (
            {
                "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2.lora_up.weight": (
                    8,
                    8,
                )
            },
            "SD 1.5",
        ),
        ({"transformer.transformer_blocks.0.attn.to_k.lora_A.weight": (8, 8)}, "SD 3"),
        ({"transformer.transformer_blocks.37.attn.to_k.lora_A.weight": (8, 8)}, "SD 3.5 Large"),
    ],
)
def test_tensors_tell_the_family(shapes, name):
    assert told(shapes) == (name, "tensors")


def test_what_tells_nothing_is_not_guessed():
    assert told({"some.tensor": (1,)}) is None
    assert of_sd_version("Unknown") is None
    assert of_sd_version("SdVersion.Unknown") is None
    assert of_sd_version(["SDXL"]) is None
    assert of_path("styles/ink_v1.safetensors") is None
    assert of_path("pixlart.safetensors") is None


def test_what_forge_keeps_and_names_are_understood():
    assert of_sd_version("SDXL") == BaseModel("SDXL 1.0", "sd_version")
    assert of_sd_version("SdVersion.Flux") == BaseModel("Flux.1 D", "sd_version")
    assert of_path("Pony/x.ckpt") == BaseModel("Pony", "name")
    assert of_path("dreamXL.ckpt") == BaseModel("SDXL 1.0", "name")


def test_the_most_trusted_source_wins():
    civitai, sidecar = BaseModel("Pony", "civitai"), BaseModel("SDXL 1.0", "sidecar")
    tensors = BaseModel("SD 1.5", "tensors")

    assert best([None, tensors, sidecar, civitai]) == civitai
    assert best([tensors, sidecar]) == sidecar
    assert best([None]) is None


@pytest.mark.parametrize(
    ("name", "wanted", "is_it"),
    [
        ("SDXL 1.0", "sdxl 1.0", True),
        ("SDXL 1.0", "SDXL", True),
        ("SDXL Lightning", "SDXL", True),
        ("SD 1.5 LCM", "SD 1.5", True),
        ("Flux.1 D", "Flux", True),
        ("Flux.1 D", "flux.1 d", True),
        ("Flux.1 D", "Flux.1 S", False),
        ("SDXL 1.0", "SD", False),
        ("Pony", "SDXL", False),
        ("Pony V7", "Pony", True),
        ("SDXL 1.0", "", False),
    ],
)
def test_a_filter_means_a_name_or_its_family(name, wanted, is_it):
    assert is_one_of(name, wanted) is is_it
