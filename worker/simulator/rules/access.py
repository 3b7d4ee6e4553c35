"""Which key may make which call. W1 to W6; unknowns are flags."""

from __future__ import annotations

from worker.simulator.contract.refusals import Refusal
from worker.simulator.contract.routes import Route
from worker.simulator.world.stores import Key, Store
from worker.simulator.world.world import World


def _forbidden(world: World, route: Route) -> Refusal:
    """Return a 403. Its description is empty (observed); only Site Properties documents a code."""
    is_coded = world.flags.refusal_code == "permission_denied"
    is_properties = route.endpoint == "get_site_properties"
    return Refusal(403, "PERMISSION_DENIED" if is_coded or is_properties else "")


def _known(world: World, route: Route, api_key: str) -> Key:
    key = world.keys.get(api_key)
    if key is None:
        is_page = route.is_account and world.flags.unknown_account_key == "403_html"
        raise Refusal(403, html=True) if is_page else Refusal(401)
    if key.revoked:
        raise Refusal(401) if world.flags.revoked_key == "401" else _forbidden(world, route)
    return key


def site_of(world: World, route: Route, api_key: str, site_id: str, account_id: str) -> Store:
    """Return the site that a call is about.

    Raises:
        Refusal: the key does not permit the call.
    """
    if not site_id or not api_key:
        raise Refusal(428, "MISSING_METASITE_ID")
    if account_id and world.flags.both_ids == "400":
        raise Refusal(400)
    key = _known(world, route, api_key)
    store = world.stores.get(site_id)
    if store is None and route.endpoint == "get_site_properties":
        raise Refusal(404, "META_SITE_NOT_FOUND")
    is_seen = key.sites is None or site_id in key.sites
    if store is None or store.account_id != key.account_id or not is_seen:
        raise _forbidden(world, route)
    if route.scope not in key.scopes:
        raise _forbidden(world, route)
    if store.is_closed and world.flags.closed_site == "403":
        raise _forbidden(world, route)
    return store


def sites_of(
    world: World, route: Route, api_key: str, site_id: str, account_id: str
) -> list[Store]:
    """Return the sites of an account that the key may see.

    Raises:
        Refusal: the key does not permit the call; without a key it is a page of HTML (observed).
    """
    if not api_key:
        raise Refusal(403, html=True)
    if site_id and account_id and world.flags.both_ids == "400":
        raise Refusal(400)
    key = _known(world, route, api_key)
    if account_id != key.account_id or route.scope not in key.scopes:
        raise _forbidden(world, route)
    return [
        store
        for store in world.stores.values()
        if store.account_id == key.account_id and (key.sites is None or store.site_id in key.sites)
    ]
