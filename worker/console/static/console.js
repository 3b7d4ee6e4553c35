// Live updates. Nothing needs this script: without it a page stays as it was when it was loaded.
"use strict";
(() => {
  const parts = () => document.querySelectorAll("[data-live]");
  const sign = document.getElementById("live");
  if (!parts().length || !sign || !window.EventSource) return;

  let source = null;
  let isLoading = false;
  let isOld = false;
  const OLD = "Not live: load the page again";

  const say = (text) => {
    sign.textContent = text;
    sign.hidden = !text;
  };

  // Whoever reads, marks or has reached something with the keyboard is not disturbed.
  const isInUse = (part) => {
    const marked = window.getSelection();
    return (
      part.contains(document.activeElement) ||
      (marked && !marked.isCollapsed && marked.containsNode(part, true))
    );
  };

  const replace = (page) => {
    for (const part of parts()) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML && !isInUse(part)) part.replaceWith(fresh);
    }
  };

  const load = async () => {
    if (isLoading) {
      isOld = true;
      return;
    }
    isLoading = true;
    const late = setTimeout(() => say(OLD), 10000);
    try {
      const answer = await fetch(location.href, {
        headers: { "X-Refunds-Live": "1" },
        redirect: "error",
      });
      if (!answer.ok) throw new Error("such as 503, while Redis does not answer");
      const page = await answer.text();
      clearTimeout(late);
      replace(new DOMParser().parseFromString(page, "text/html"));
      say("Live");
    } catch {
      say(OLD);
    } finally {
      clearTimeout(late);
      isLoading = false;
      if (isOld) {
        isOld = false;
        load();
      }
    }
  };

  const open = () => {
    source = new EventSource("/live");
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("changed", load);
    source.addEventListener("error", () => say("Not live"));
  };

  // A page that nobody sees needs no connection; browsers have few of them for one server.
  const follow = () => {
    if (document.hidden && source) {
      source.close();
      source = null;
    } else if (!document.hidden && !source) {
      open();
      load();
    }
  };
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => source && source.close());
  if (!document.hidden) open();
})();
