// What the pages do better with scripts: refresh in place, copy, keys. All of it works
// without.

document.documentElement.classList.add("js");

const live = Number(document.body.dataset.live || 0);
const note = document.querySelector(".live-note");
let asOf = document.body.dataset.asOf;

// busy is whether a refresh would take something out of the reader's hands.
function busy() {
	return String(getSelection()) !== ""
		|| document.querySelector("main input:checked[name=id]") !== null
		|| document.activeElement.matches("[data-live-region] :is(input:not([type=checkbox]), select, textarea)");
}

// say tells how the refresh stands; "" is that the page is as it should be.
function say(text) {
	if (note.textContent !== text) { note.textContent = text; }
	note.hidden = text === "";
}

// named tells an element that takes the focus from the others of its page.
function named(element) {
	return [element.tagName, element.getAttribute("href"), element.name, element.value, element.matches("summary") && element.textContent].join(" ");
}

// refresh asks for this very page and takes over its live regions. A page that could not
// be had stays, and says how old it is: the next try may find the server again.
async function refresh() {
	if (document.hidden) { return; }
	if (busy()) { return say(note.dataset.paused); }
	let next;
	try {
		const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Live": "1" } });
		next = new DOMParser().parseFromString(await answer.text(), "text/html");
		// A sign-in page is no answer either.
		if (!answer.ok || !next.body.dataset.asOf) { throw new Error(String(answer.status)); }
	} catch {
		return say(`${note.dataset.lost} ${asOf}`);
	}
	if (busy()) { return say(note.dataset.paused); }
	const focused = named(document.activeElement);
	for (const region of document.querySelectorAll("[data-live-region]")) {
		const fresh = next.querySelector(`[data-live-region="${region.dataset.liveRegion}"]`);
		if (!fresh) { continue; }
		const open = new Set([...region.querySelectorAll("details[open] > summary")].map((s) => s.textContent));
		for (const details of fresh.querySelectorAll("details")) {
			if (open.has(details.querySelector("summary").textContent)) { details.open = true; }
		}
		const inside = region.contains(document.activeElement);
		region.replaceChildren(...fresh.childNodes);
		if (inside) { [...region.querySelectorAll("a, button, input, summary")].find((e) => named(e) === focused)?.focus({ preventScroll: true }); }
	}
	asOf = next.body.dataset.asOf;
	say("");
	offerCopies();
}

if (live > 0) { setInterval(refresh, live * 1000); }

// offerCopies puts a button to each document that can be copied.
function offerCopies() {
	if (!navigator.clipboard) { return; }
	for (const pre of document.querySelectorAll("pre[data-copy]")) {
		if (pre.previousElementSibling?.matches("button.copy")) { continue; }
		const button = document.createElement("button");
		button.type = "button";
		button.className = "copy";
		button.textContent = pre.dataset.copy;
		button.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent));
		pre.before(button);
	}
}

offerCopies();

// Selecting: the box in the head takes the whole page, shift takes all between two.
let last = null;
document.addEventListener("change", (event) => {
	if (event.target.matches("input[name=page]")) {
		for (const box of document.querySelectorAll("main input[name=id]")) { box.checked = event.target.checked; }
	}
});
document.addEventListener("click", (event) => {
	if (!event.target.matches("main input[name=id]")) { return; }
	const boxes = [...document.querySelectorAll("main input[name=id]")];
	const [from, to] = [boxes.indexOf(last), boxes.indexOf(event.target)];
	if (event.shiftKey && from >= 0) {
		for (const box of boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) { box.checked = event.target.checked; }
	}
	last = event.target;
});

// Keys, unless the reader has put them off: / to search, j and k through a list, x to
// select, r to refresh, g and a letter to go. Never while one writes.
let leader = 0;
const press = {
	"/": () => (document.getElementById("q") || document.getElementById("jump"))?.focus(),
	"g": () => { leader = Date.now(); },
	"j": () => move(1),
	"k": () => move(-1),
	"x": () => document.activeElement.closest("tr")?.querySelector("input[name=id]")?.click(),
	"r": () => refresh(),
};

// move goes to the first link of the next row.
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
		const section = ["j", "h", "s", "b", "a"].indexOf(event.key);
		if (section >= 0) { location.assign(document.querySelectorAll("header nav a")[section].href); }
	} else if (press[event.key]) {
		event.preventDefault();
		press[event.key]();
	}
});
