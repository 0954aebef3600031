// Live updates, copy buttons and keyboard shortcuts. The pages work without this script.

document.documentElement.classList.add("js");

// Live updates load the page again and merge its live regions into the ones that are shown. An element
// that did not change stays, so that ticks, texts, opened details, focus and scroll position stay too.

const note = document.querySelector(".live-note");
let live = Number(document.body.dataset.live || 0); // seconds between updates; 0 is off
let asOf = document.body.dataset.asOf;
let failures = 0;
let timer = 0;

// hasInput reports whether the reader ticked, chose or typed something in an element.
function hasInput(element) {
	return [...element.querySelectorAll("input:not([type=hidden]), select, textarea")].some((field) => {
		if (field.type === "checkbox") { return field.checked !== field.defaultChecked; }
		if (field.options) { return field.selectedIndex !== Math.max(0, [...field.options].findIndex((o) => o.defaultSelected)); }
		return field.value !== field.defaultValue;
	});
}

// busy reports whether an update could disturb the reader: something is selected or entered.
function busy() {
	return String(getSelection()) !== "" || [...document.querySelectorAll("[data-live-region]")].some(hasInput)
		|| document.activeElement.matches("[data-live-region] :is(input:not([type=checkbox]), select, textarea)");
}

// showStatus shows the state of the live updates. The text "" means that the page is up to date.
function showStatus(text, button = false) {
	const [message, resume] = note.children;
	if (message.textContent !== text) { message.textContent = text; }
	note.hidden = text === "";
	resume.hidden = !button;
}

// keyOf returns a text that identifies an element among its siblings, or "". A form's field that is called
// id hides the property of the form, so it reads attributes.
function keyOf(node) {
	const names = node.nodeName === "FORM" ? ["id", "data-key", "action"] : ["id", "data-key"];
	return names.map((name) => node.nodeType === 1 && node.getAttribute(name)).find(Boolean) || "";
}

// goes reports whether a node without a key may be dropped before its place is known.
function goes(node) { return !keyOf(node) && !node.dataset?.added && !(node.nodeType === 1 && hasInput(node)); }

// merge makes an element equal to a new one. It keeps what the reader opened or entered.
function merge(old, fresh) {
	if (old.isEqualNode(fresh)) { return; }
	for (const { name } of [...old.attributes]) {
		if (name !== "open" && !fresh.hasAttribute(name)) { old.removeAttribute(name); }
	}
	for (const { name, value } of fresh.attributes) {
		if (name !== "open" && old.getAttribute(name) !== value) { old.setAttribute(name, value); }
	}
	const keys = new Set([...fresh.children].map(keyOf));
	const kept = new Map();
	for (const child of [...old.children]) {
		const key = keyOf(child);
		if (key && !keys.has(key) && !hasInput(child)) {
			child.remove();
		} else if (key) {
			kept.set(key, [...kept.get(key) || [], child]);
		}
	}
	let at = old.firstChild;
	for (const next of [...fresh.childNodes]) {
		while (at?.nodeType === 1 && (at.dataset.added || (keyOf(at) && !keys.has(keyOf(at))))) { at = at.nextSibling; }
		const key = keyOf(next);
		const same = key ? kept.get(key)?.shift() : at?.nodeName === next.nodeName && !keyOf(at) && at;
		if (!same) {
			old.insertBefore(next, at);
			continue;
		}
		while (key && same && at && at !== same && same.compareDocumentPosition(at) & 2 && goes(at)) { // to move same would take the focus from it
			const gone = at;
			at = at.nextSibling;
			gone.remove();
		}
		if (same === at) {
			at = at.nextSibling;
		} else {
			old.insertBefore(same, at);
		}
		if (same.nodeType === 1) {
			merge(same, next);
		} else if (same.nodeValue !== next.nodeValue) {
			same.nodeValue = next.nodeValue;
		}
	}
	while (at) {
		const rest = at;
		at = at.nextSibling;
		if (rest.nodeType !== 1 || !(rest.dataset.added || hasInput(rest))) { rest.remove(); }
	}
}

// update loads the page again. If the request fails, the page stays and shows when it was last updated. An
// update that the reader has not asked for waits until the reader is not busy.
async function update(asked) {
	let next;
	try {
		const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual", signal: AbortSignal.timeout(15000) });
		// The reader was signed out, or lost the right to this page: what it shows must not stay.
		if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) { return location.reload(); }
		next = new DOMParser().parseFromString(await answer.text(), "text/html");
		// The response may be a sign-in page.
		if (!answer.ok || !next.body.dataset.asOf) { throw new Error(String(answer.status)); }
	} catch {
		failures++;
		return showStatus(`${note.dataset.lost} ${asOf}`);
	}
	failures = 0;
	if (sending() || (!asked && busy())) { return; }
	for (const region of document.querySelectorAll("[data-live-region]")) {
		const fresh = next.querySelector(`[data-live-region="${region.dataset.liveRegion}"]`);
		if (fresh) { merge(region, fresh); }
	}
	document.title = next.title;
	live = Number(document.body.dataset.live = next.body.dataset.live);
	asOf = next.body.dataset.asOf;
	showStatus("");
	addCopyButtons();
	countSelected();
}

// tick updates the page unless nobody looks at it or the reader is busy, and plans the next tick. After
// failures it waits longer, up to a minute.
async function tick() {
	clearTimeout(timer);
	if (document.hidden || sending()) { return; }
	if (busy()) {
		showStatus(`${note.dataset.updated} ${asOf}. ${note.dataset.paused}`, true);
	} else {
		await update(false);
	}
	plan();
}

function plan() {
	clearTimeout(timer);
	if (live > 0) { timer = setTimeout(tick, Math.min(live * 1000 * 2 ** Math.min(failures, 6), Math.max(60000, live * 1000))); }
}

note.querySelector("button").addEventListener("click", async () => { await update(true); plan(); });
document.addEventListener("visibilitychange", () => { if (live > 0 && !document.hidden) { tick(); } });
plan();

// addCopyButtons adds a button to each document that can be copied.
function addCopyButtons() {
	if (!navigator.clipboard) { return; }
	for (const pre of document.querySelectorAll("pre[data-copy]")) {
		if (pre.previousElementSibling?.matches("button.copy")) { continue; }
		const button = document.createElement("button");
		button.type = "button";
		button.className = "copy";
		button.dataset.added = "yes";
		button.textContent = pre.dataset.copy;
		button.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent));
		pre.before(button);
	}
}

addCopyButtons();

// Selection: the checkbox in the table's head selects the whole page, and Shift selects a range.
let last = null;
document.addEventListener("change", (event) => {
	if (event.target.matches("input[name=page]")) {
		for (const box of document.querySelectorAll("main input[name=id]")) { box.checked = event.target.checked; }
	}
	countSelected();
});
document.addEventListener("reset", () => setTimeout(countSelected));

// countSelected shows how many jobs are selected.
function countSelected() {
	const text = document.querySelector("[data-count]"), n = document.querySelectorAll("main input[name=id]:checked").length;
	if (text && n > 0) { text.textContent = n === 1 ? text.dataset.one : text.dataset.many.replace("%s", n); }
}
document.addEventListener("click", (event) => {
	if (!event.target.matches("main input[name=id]")) { return; }
	const boxes = [...document.querySelectorAll("main input[name=id]")];
	const [from, to] = [boxes.indexOf(last), boxes.indexOf(event.target)];
	if (event.shiftKey && from >= 0) {
		for (const box of boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) { box.checked = event.target.checked; }
	}
	last = event.target;
});

// Keyboard shortcuts: / focuses the search box, j and k move through a list, x selects a job,
// n opens the next page or conflict, r refreshes, g and a letter open a section. They are ignored while a field is edited, and can be
// disabled in the preferences.
let leader = 0;
const press = {
	"/": () => (document.getElementById("q") || document.getElementById("search"))?.focus(),
	"g": () => { leader = Date.now(); },
	"j": () => move(1),
	"k": () => move(-1),
	"x": () => document.activeElement.closest("tr")?.querySelector("input[name=id]")?.click(),
	"r": () => tick(),
	"n": () => document.querySelector("main a[rel=next]")?.click(),
};

// move focuses the first link of another row: down by the given number of rows, or up if it is
// negative.
function move(by) {
	const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
	const at = rows.indexOf(document.activeElement.closest("tr"));
	rows[at < 0 && by < 0 ? rows.length - 1 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.querySelector("a").focus();
}

addEventListener("keydown", (event) => {
	if (document.body.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey) { return; }
	if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) { return; }
	if (Date.now() - leader < 1500) {
		leader = 0;
		const section = document.querySelector(`header nav a[data-go="${CSS.escape(event.key)}"]`);
		if (section) { location.assign(section.href); }
	} else if (press[event.key]) {
		event.preventDefault();
		press[event.key]();
	}
});

// Menus close by Escape and by a click elsewhere.
const openMenus = () => document.querySelectorAll(":is(.menu, .drop)[open]");
addEventListener("click", (event) => {
	for (const menu of openMenus()) { menu.open = menu.contains(event.target); }
});
addEventListener("keydown", (event) => {
	for (const menu of event.key === "Escape" ? openMenus() : []) {
		menu.open = false;
		menu.querySelector("summary").focus();
	}
});

// Forms that act are sent once: until the next page is there, their buttons are disabled and the live
// updates stop, which would bring new ones. The server knows a form that is sent again without this, too.
function sending() { return document.querySelector("form[aria-busy]") !== null; }

addEventListener("submit", (event) => {
	const form = event.target;
	if (form.method !== "post") { return; }
	if (form.hasAttribute("aria-busy")) { return event.preventDefault(); }
	form.setAttribute("aria-busy", "true");
	showStatus(note.dataset.sending);
	// Later, because the name and value of a disabled button are not sent.
	setTimeout(() => { for (const button of form.querySelectorAll("button")) { button.disabled = true; } });
});

// A browser that goes back may show the page as it was left, with forms that were sent.
addEventListener("pageshow", (event) => { if (event.persisted && sending()) { location.reload(); } });
