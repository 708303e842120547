// Signing in: at first, and again when a session is over in the middle of the work.

import { signIn } from "./api.js";
import { h } from "./dom.js";

/** The form; done is called with the session. */
function form(title, words, done) {
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "token-said" });
  const said = h("p.bad", { id: "token-said", role: "alert" });
  const go = h("button.main", {}, "Sign in");
  return h("form.card.sign-in", { onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await done(await signIn(field.value.trim()));
    } catch (error) {
      said.textContent = [error.message, error.todo].filter(Boolean).join(". ");
      field.select();
    } finally {
      go.disabled = false;
    }
  } }, h("h1", {}, title), words && h("p.soft", {}, words), h("label.time", { for: "token" }, "your token", field), said, h("div.bar", {}, go));
}

/** Instead of the page. */
export function signInPage(place, start) {
  if (document.getElementById("token")) return;
  for (const box of document.querySelectorAll("dialog")) box.close();
  place.replaceChildren(form("Sign in", "", start));
  document.getElementById("token").focus();
}

let waiting = null;
/** Over the page, which is hidden until the same person is back; somebody else begins anew. */
export function signInAgain(before) {
  waiting ??= new Promise((resolve) => {
    const box = h("dialog.sign-in-again", { "aria-label": "Sign in again" },
      form("Your session is over", "It ended after a while without a click, or because the server was started anew. What you were doing is kept: sign in, and it goes on.", (session) => {
        if (session.name !== before.name || session.role !== before.role) return location.reload(); // what was asked dies with the page: it is not theirs
        box.close();
        waiting = null;
        resolve(true);
      }));
    box.addEventListener("cancel", (event) => event.preventDefault());
    box.addEventListener("keydown", (event) => { if (event.key === "Escape") event.preventDefault(); });
    document.body.append(box);
    box.addEventListener("close", () => box.remove());
    box.showModal();
    document.getElementById("token").focus();
  });
  return waiting;
}
