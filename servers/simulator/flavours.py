"""Forge and its relatives: what each does otherwise, as far as its sources could be read.

Whatever is not named here is as in the recorded Forge. The sources are named per relative;
none of the relatives was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FlavourName = Literal["forge", "a1111", "neo"]

_VAE_ROUTES = frozenset({"/sdapi/v1/sd-vae", "/sdapi/v1/refresh-vae"})
_QUEUE_ROUTES = frozenset(
    {"/queue/join", "/queue/data", "/queue/status", "/call/<name>", "/call/<name>/<event_id>"}
)


@dataclass(frozen=True)
class Flavour:
    """One member of the family."""

    version: str = "f2.0.1v1.10.1-previous-669-gdfdcbab6"
    error_text: str = "message"
    """The field of an error's body that holds its text."""
    wraps_refusals: bool = False
    """Whether refusals (401, 404, 422, 500 on purpose) have that same body, and no headers."""
    tells_time: bool = False
    """Whether answers carry X-Process-Time."""
    lacks_routes: frozenset[str] = _VAE_ROUTES
    lacks_fields: frozenset[str] = frozenset()
    """Fields of a generation it does not know, and so passes over without a word."""
    hires_needs_modules: bool = True
    """Whether hires fix without `hr_additional_modules` dies after the first pass."""
    cookie_has_id: bool = True
    """Whether the name of the login's cookie is another one after each start."""
    functions_have_ids: bool = True
    """Whether the page numbers its functions; else their place in the list is their number."""
    page_version: str = "4.40.0"
    refresh_function: str = "gr_refresh_models"
    checkpoint_elem_id: str | None = None
    modules_elem_id: str | None = None
    checkpoint_goes_with_preset: bool = False
    """Whether the page changes the checkpoint together with its preset, at once."""

    def heard(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A request without the fields it does not know."""
        return {key: value for key, value in request.items() if key not in self.lacks_fields}


FLAVOURS: dict[str, Flavour] = {
    "forge": Flavour(),
    # AUTOMATIC1111/stable-diffusion-webui 1.10: modules/api/api.py (handle_exception,
    # log_and_time, get_sd_vaes), modules/processing.py; the page runs on gradio 3.41.2, whose
    # queue is a web socket and whose cookies have fixed names (gradio/routes.py).
    # Its lists of routes beyond these, and pydantic 1's way to complain, are not simulated.
    "a1111": Flavour(
        version="v1.10.1",
        error_text="errors",
        wraps_refusals=True,
        tells_time=True,
        lacks_routes=_QUEUE_ROUTES | {"/sdapi/v1/sd-modules"},
        lacks_fields=frozenset(
            {"distilled_cfg_scale", "hr_additional_modules", "hr_cfg", "hr_distilled_cfg"}
        ),
        hires_needs_modules=False,
        cookie_has_id=False,
        functions_have_ids=False,
        page_version="3.41.2",
    ),
    # Haoming02/sd-webui-forge-classic (neo): modules/api/api.py (routes; its middleware for
    # errors is switched off as Forge's, webui.py), modules/processing.py (hires fix dies as
    # Forge's), modules_forge/main_entry.py (elem_ids and functions above the tabs).
    "neo": Flavour(
        lacks_routes=frozenset(
            {"/sdapi/v1/sd-vae", "/sdapi/v1/hypernetworks", "/sdapi/v1/reload-checkpoint"}
        ),
        refresh_function="refresh_model_list",
        checkpoint_elem_id="setting_sd_model_checkpoint",
        modules_elem_id="setting_sd_vae",
        checkpoint_goes_with_preset=True,
    ),
}
