"""What a model file was made for: told by its header's words, by its tensors, by its name.

Base models have the names that Civitai gives them; any other name is kept as it is. What is
told by better sources wins: `TRUST` has them in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from models_catalog.safetensors_header import Header

Source = Literal["civitai", "sidecar", "header", "tensors", "sd_version", "name"]
TRUST: Final[tuple[Source, ...]] = (
    *("civitai", "sidecar", "header", "tensors"),
    *("sd_version", "name"),
)
"""The best one first."""

UNKNOWN = "Unknown"

SD1, SD2, SDXL, FLUX = "SD 1.5", "SD 2.1", "SDXL 1.0", "Flux.1 D"

_LOOK_ALIKES = {
    *("SDXL 0.9", SDXL, "SDXL Turbo", "SDXL Lightning", "SDXL Hyper"),
    *("Pony", "Illustrious", "NoobAI"),
}
"""They cannot be told apart by their tensors."""


@dataclass(frozen=True)
class BaseModel:
    """A base model, and what told it."""

    name: str
    source: Source


def best(told: Iterable[BaseModel | None]) -> BaseModel | None:
    """Return what the most trusted source told; of equal ones the first."""
    known = [base for base in told if base is not None]
    return min(known, key=lambda base: TRUST.index(base.source), default=None)


def is_one_of(name: str, wanted: str) -> bool:
    """Say whether a base model is the wanted one, or belongs to the wanted family."""
    name, wanted = name.casefold().strip(), wanted.casefold().strip()
    if name == wanted:
        return True
    # "SDXL" means "SDXL 1.0", "SD 1.5" also "SD 1.5 LCM", and "Flux" means "Flux.1 D".
    return bool(wanted) and name.startswith((f"{wanted} ", f"{wanted}."))


def of_header(header: Header) -> BaseModel | None:
    """Read the words of a header, then its tensors."""
    by_words, by_tensors = _by_words(header.metadata), _by_tensors(header.shapes)
    hint = _hint(_named_in(header.metadata))
    if by_words or by_tensors:
        found = by_words or by_tensors
        # Only the file it was trained on says which of those that look alike it is.
        if hint in _LOOK_ALIKES and found in _LOOK_ALIKES and hint != SDXL:
            return BaseModel(hint or "", "header")
        return BaseModel(found or "", "header" if by_words else "tensors")
    return BaseModel(hint, "header") if hint else None


def of_sd_version(value: object) -> BaseModel | None:
    """Read what Forge's editor of user metadata keeps."""
    words = {"SD1": SD1, "SD2": SD2, "SDXL": SDXL, "Flux": FLUX}
    name = words.get(str(value).removeprefix("SdVersion."))
    return BaseModel(name, "sd_version") if name else None


def of_path(path: str) -> BaseModel | None:
    """Guess by the names of folder and file: a hint, better than nothing."""
    name = _hint(path)
    return BaseModel(name, "name") if name else None


# --- words ---------------------------------------------------------------------------

_ARCHITECTURES = (
    (r"stable-diffusion-xl", SDXL),
    (r"stable-diffusion-(v?3[.-]5)-?l", "SD 3.5 Large"),
    (r"stable-diffusion-(v?3[.-]5)", "SD 3.5 Medium"),
    (r"stable-diffusion-v?3", "SD 3"),
    (r"stable-diffusion-v2-768", "SD 2.1 768"),
    (r"stable-diffusion-v?2", SD2),
    (r"stable-diffusion-v?1", SD1),
    (r"flux[.-]?1?-schnell", "Flux.1 S"),
    (r"flux[.-]?2", "Flux.2 D"),
    (r"flux", FLUX),
    (r"chroma", "Chroma"),
    (r"lumina", "Lumina"),
    (r"hunyuan-image-2\.1", "Hunyuan Image 2.1"),
    (r"anima", "Anima"),
)
_TRAINED_ON = (
    (r"sdxl", SDXL),
    (r"sd_v1", SD1),
    (r"sd_v2", SD2),
    (r"sd3[.-]?5_?l", "SD 3.5 Large"),
    (r"sd3[.-]?5", "SD 3.5 Medium"),
    (r"sd3", "SD 3"),
    (r"flux", FLUX),
    *_ARCHITECTURES[-4:],
)
_NETWORKS = (
    (r"networks\.lora_flux", FLUX),
    (r"networks\.lora_sd3", "SD 3"),
    (r"networks\.lora_lumina", "Lumina"),
    (r"networks\.lora_anima", "Anima"),
)
_HINTS = (
    (r"pony", "Pony"),
    (r"illustrious|\bilxl", "Illustrious"),
    (r"noob", "NoobAI"),
    (r"animagine|sdxl|(?<![a-z])xl(?![a-wyz])|(?<=[a-z])xl(?![a-z])", SDXL),
    (r"schnell", "Flux.1 S"),
    (r"flux", FLUX),
)


def _by_words(metadata: Mapping[str, str]) -> str | None:
    return (
        _first(_ARCHITECTURES, metadata.get("modelspec.architecture", ""))
        or (FLUX if "black-forest-labs/flux" in _implementation(metadata) else None)
        or _first(_TRAINED_ON, metadata.get("ss_base_model_version", ""))
        or (SD2 if metadata.get("ss_v2") == "True" else None)
        or _first(_NETWORKS, metadata.get("ss_network_module", ""))
    )


def _implementation(metadata: Mapping[str, str]) -> str:
    return metadata.get("modelspec.implementation", "").lower()


def _named_in(metadata: Mapping[str, str]) -> str:
    names = ("ss_sd_model_name", "modelspec.title", "ss_output_name")
    return " ".join(metadata.get(name, "")[:300] for name in names)


def _hint(text: str) -> str | None:
    """Find a base model's name inside others."""
    lower = text[:1000].lower()
    return next((name for pattern, name in _HINTS if re.search(pattern, lower)), None)


def _first(patterns: Iterable[tuple[str, str]], text: str) -> str | None:
    """Return the name whose pattern the text begins with."""
    lower = text[:200].lower()
    return next((name for pattern, name in patterns if re.match(pattern, lower)), None)


# --- tensors -------------------------------------------------------------------------

Shapes = Mapping[str, tuple[int, ...]]

_ALL_IN_ONE = "model.diffusion_model."
_UNET = (_ALL_IN_ONE, "")
_LORA = re.compile(r"(^lora_)|(\.(lora_A\.weight|lora_up\.weight|lora\.up\.weight|lokr_w1|diff)$)")
_LORA_OF_FLUX = re.compile(
    r"^lora_unet_(double_blocks_\d+_(img|txt)_|single_blocks_\d+_(linear|modulation))"
    r"|^transformer\.single_transformer_blocks\.\d+\."
    r"|^(diffusion_model\.)?(double|single)_blocks\.\d+\."
)
_LORA_OF_SD3 = re.compile(r"^transformer\.transformer_blocks\.(\d+)\.attn\.")
_LORA_OF_SDXL = re.compile(
    r"^lora_te[12]_|^lora_unet_(down_blocks_2_attentions_1_transformer_blocks_[1-9]_"
    r"|output_blocks_5_1_transformer_blocks_1_|input_blocks_7_1_transformer_blocks_[1-9]_)"
)
_LORA_OF_SD1 = re.compile(r"^lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2")
_CROSS_ATTENTION = re.compile(r"attn2[._]to_k\.(lora_down|lora_A|lora\.down)(\.\w+)?\.weight$")
_CONTEXT = {768: SD1, 1024: SD2, 2048: SDXL, 1280: SDXL}
"""The base model by the width of what its text encoder gives."""


def _by_tensors(shapes: Shapes) -> str | None:
    if any(_LORA.search(name) for name in shapes):
        return _lora(shapes)
    return next((name for test, name in _TESTS if test(shapes)), None)


def _lora(shapes: Shapes) -> str | None:
    if any(_LORA_OF_FLUX.match(name) for name in shapes):
        return FLUX
    blocks = [int(found[1]) for name in shapes if (found := _LORA_OF_SD3.match(name))]
    if blocks:
        return "SD 3.5 Large" if max(blocks) >= 37 else "SD 3"
    if any(_LORA_OF_SDXL.match(name) for name in shapes):
        return SDXL
    for name, shape in shapes.items():
        if _CROSS_ATTENTION.search(name) and len(shape) >= 2:
            return _CONTEXT.get(shape[1])
    return SD1 if any(_LORA_OF_SD1.match(name) for name in shapes) else None


def _has(*names: str) -> Callable[[Shapes], bool]:
    """A test whether one of these tensors is there, in an all-in-one file or alone."""
    return lambda shapes: any(f"{prefix}{name}" in shapes for prefix in _UNET for name in names)


def _side(name: str, place: int, *sides: int) -> Callable[[Shapes], bool]:
    """A test whether a tensor's side at `place` is one of these."""

    def fits(shapes: Shapes) -> bool:
        found = (shapes.get(f"{prefix}{name}", ()) for prefix in _UNET)
        return any(len(shape) > place and shape[place] in sides for shape in found)

    return fits


def _all(*tests: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda shapes: all(test(shapes) for test in tests)


_CLIP = "cond_stage_model.transformer"
_JOINT = "joint_blocks.0.context_block.attn"
_ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
_DEEP_ATTENTION = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"

_TESTS: tuple[tuple[Callable[[Shapes], bool], str], ...] = (
    (_has("distilled_guidance_layer.in_proj.bias"), "Chroma"),
    (_side("double_stream_modulation_img.lin.weight", 0, 18432), "Flux.2 Klein 4B"),
    (_side("double_stream_modulation_img.lin.weight", 0, 24576), "Flux.2 Klein 9B"),
    (_has("double_stream_modulation_img.lin.weight"), "Flux.2 D"),
    (
        _all(
            _has("double_blocks.0.img_attn.norm.key_norm.scale"),
            _has("guidance_in.in_layer.weight"),
        ),
        FLUX,
    ),
    (_has("double_blocks.0.img_attn.norm.key_norm.scale"), "Flux.1 S"),
    (
        _all(_has(f"{_JOINT}.qkv.weight"), _side(f"{_JOINT}.proj.bias", 0, 2432)),
        "SD 3.5 Large",
    ),
    (_all(_has(f"{_JOINT}.qkv.weight"), _has(f"{_JOINT}.ln_q.weight")), "SD 3.5 Medium"),
    (_has(f"{_JOINT}.qkv.weight"), "SD 3"),
    (_has("clf.1.weight"), "Stable Cascade"),
    (_has("double_layers.0.attn.w1q.weight"), "AuraFlow"),
    (_has("mlp_t5.0.weight"), "Hunyuan 1"),
    (
        _has(
            "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight",
            "conditioner.embedders.0.model.ln_final.bias",
        ),
        SDXL,
    ),
    (_side("label_emb.0.0.weight", 1, 2816, 2560), SDXL),
    (_side(_DEEP_ATTENTION, 1, 2048, 1280), SDXL),
    (_has("cond_stage_model.model.ln_final.bias"), SD2),
    (_side(_ATTENTION, 1, 1024), SD2),
    (
        _has(
            f"{_CLIP}.text_model.embeddings.position_ids",
            f"{_CLIP}.embeddings.position_ids",
        ),
        SD1,
    ),
    (_side(_ATTENTION, 1, 768), SD1),
)
"""What tells each base model; the first that fits counts."""
