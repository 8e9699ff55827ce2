// The page asks the same API as everybody: /openapi.json describes it.

const $ = id => document.getElementById(id);
let key = localStorage.getItem("gimbal-key") || "";
let models = [];

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = "Bearer " + key;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await login(headers.Authorization);
    return ask(path, options);
  }
  if (!answer.ok) {
    const failure = (await answer.json()).error;
    throw new Error(failure.details ? failure.details.map(d => d.message).join("\n") : failure.message);
  }
  return answer;
}

let entering = null;
function login(refused) {
  if (refused && refused !== (key && "Bearer " + key)) return Promise.resolve(); // another one was given meanwhile
  $("wrong").textContent = refused ? "This key is not known." : "";
  entering ||= new Promise(resolve => {
    $("login").addEventListener("close", () => {
      key = $("key").value.trim();
      $("key").value = "";
      localStorage.setItem("gimbal-key", key);
      entering = null;
      resolve();
    }, { once: true });
    $("login").showModal();
  });
  return entering;
}

// The picture: chosen, dropped or pasted.
let picture = null;
function take(file) {
  if (!file) return;
  picture = file;
  $("picture").src = URL.createObjectURL(file);
}
$("picture").addEventListener("load", () => plan());
$("image").addEventListener("change", () => take($("image").files[0]));
const drop = $("drop");
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, e => { e.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, e => { e.preventDefault(); drop.classList.remove("over"); });
drop.addEventListener("drop", e => take(e.dataTransfer.files[0]));
document.addEventListener("paste", e => take([...e.clipboardData.files].find(f => f.type.startsWith("image/"))));

// Camera paths as the API takes them: from the camera to the world, x right, y down, z forward.
function path(name, frames) {
  const poses = [];
  for (let i = 0; i < frames; i++) {
    const turn = name === "left" ? -i * 0.02 : name === "right" ? i * 0.02 : 0;
    const z = name === "forward" ? i * 0.05 : 0;
    const c = Math.cos(turn), s = Math.sin(turn);
    poses.push([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, z], [0, 0, 0, 1]]);
  }
  return { poses, intrinsics: poses.map(() => [500, 500, 416, 240]) };
}

function recipe() {
  return models.find(m => m.id === $("model").value)?.recipe;
}

function form() {
  const f = new FormData();
  f.set("model", $("model").value);
  let frames = recipe()?.frame_num || 17;
  if ($("preset").value === "quick") {
    frames = Math.min(frames, 17);
    f.set("frame_num", frames);
    f.set("sample_steps", Math.min(recipe()?.sample_steps || 12, 12));
  }
  const camera = $("camera").value;
  if (camera === "files") {
    for (const file of $("cameraFiles").files) f.set(file.name.replace(/\.npy$/i, ""), file);
  } else if (camera) {
    f.set("cameras", JSON.stringify(path(camera, frames)));
  }
  return f;
}

async function plan() {
  if (!$("model").value) return;
  try {
    const f = form(), { naturalWidth, naturalHeight } = $("picture");
    if (naturalWidth) {
      f.set("image_width", naturalWidth);
      f.set("image_height", naturalHeight);
    }
    const p = await (await ask("/v1/plan", { method: "POST", body: f })).json();
    const time = p.time?.likely_ns ? ", about " + duration(p.time.likely_ns / 1e9) : "";
    $("plan").textContent = `${p.frames} frames of ${p.width}×${p.height} on ${p.device}${time}`;
  } catch (e) {
    $("plan").textContent = "";
  }
}

function duration(s) {
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.round(s % 3600 / 60)} min`;
  if (s >= 60) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  return `${Math.round(s)} s`;
}

for (const id of ["model", "camera", "preset"]) {
  $(id).addEventListener("change", () => {
    $("files").hidden = $("camera").value !== "files";
    plan();
  });
}

$("form").addEventListener("submit", async e => {
  e.preventDefault();
  $("error").textContent = "";
  const f = form();
  f.set("prompt", $("prompt").value);
  if (picture) f.set("image", picture);
  try {
    const v = await (await ask("/v1/videos", { method: "POST", body: f })).json();
    if (!shown.has(v.id)) show(v); // or events have told of it, and what became of it since
  } catch (e) {
    $("error").textContent = e.message;
  }
});

const over = v => ["done", "failed", "cancelled"].includes(v.status);

// Videos, the newest first.
const shown = new Map();
function entry(id) {
  let li = shown.get(id);
  if (!li) {
    li = $("entry").content.firstElementChild.cloneNode(true);
    li.dataset.id = id;
    shown.set(id, li);
    const after = [...$("videos").children].find(other => other.dataset.id < id);
    $("videos").insertBefore(li, after || null);
    li.querySelector("button").addEventListener("click", () => ask("/v1/videos/" + id + (over(li.dataset) ? "" : "?only=cancel"), { method: "DELETE" }));
  }
  return li;
}

async function show(v) {
  const li = entry(v.id);
  li.dataset.status = v.status;
  li.querySelector(".prompt").textContent = v.settings.prompt;
  li.querySelector(".status").textContent = status(v);
  const bar = li.querySelector("progress");
  bar.hidden = v.status !== "running";
  bar.value = v.steps ? v.step / v.steps : 0;
  li.querySelector("button").textContent = over(v) ? "Delete" : "Cancel";
  if (v.width) li.querySelector(".stage").style.aspectRatio = `${v.width} / ${v.height}`;
  const image = li.querySelector("img");
  const video = li.querySelector("video");
  image.dataset.frames = v.latent_frames || 1;
  if (v.preview && li.dataset.step !== String(v.step)) {
    li.dataset.step = v.step;
    const url = await blob(`/v1/videos/${v.id}/preview`);
    if (li.dataset.step !== String(v.step) || !video.hidden) return; // what came later was faster
    image.src = url;
    image.hidden = false;
  }
  if (v.status === "done" && video.hidden) {
    video.hidden = false;
    image.hidden = true;
    const url = await blob(`/v1/videos/${v.id}/content`);
    const save = li.querySelector("a");
    video.src = save.href = url;
    save.download = v.id + ".mp4";
    save.hidden = false;
  }
}

// A preview has its frames side by side: one after the other is shown, each as long as its part
// of the video lasts.
let tick = 0;
setInterval(() => {
  tick++;
  for (const image of document.querySelectorAll(".stage img:not([hidden])")) {
    const frames = Number(image.dataset.frames);
    image.style.width = frames * 100 + "%";
    image.style.left = -(tick % frames) * 100 + "%";
  }
}, 250);

function status(v) {
  switch (v.status) {
    case "queued": return v.position ? `waits behind ${v.position}` : "waits";
    case "running": return v.steps ? `step ${v.step} of ${v.steps}` + (v.remaining_seconds ? `, ${duration(v.remaining_seconds)} to go` : "") : "begins";
    case "failed": return v.error.message;
    default: return v.status;
  }
}

async function blob(url) {
  return URL.createObjectURL(await (await ask(url)).blob());
}

// follow reads the stream of events; it begins with all videos.
async function follow() {
  for (;;) {
    try {
      const body = (await ask("/v1/events")).body.pipeThrough(new TextDecoderStream()).getReader();
      $("state").textContent = "";
      shown.forEach(li => { li.dataset.old = "1"; });
      for (let text = ""; ;) {
        const { value, done } = await body.read();
        if (done) break;
        text += value;
        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) event(text.slice(0, end));
      }
    } catch (e) {
      console.warn(e);
    }
    $("state").textContent = "The server is away. Videos go on there; this page tries again.";
    await new Promise(resolve => setTimeout(resolve, 2000));
  }
}

function event(text) {
  const kind = text.match(/^event: (.*)$/m)?.[1], data = text.match(/^data: (.*)$/m)?.[1];
  if (kind === "video") show(JSON.parse(data)).catch(console.warn);
  if (kind === "deleted") {
    const { id } = JSON.parse(data);
    shown.get(id)?.remove();
    shown.delete(id);
  }
}

async function list() {
  models = (await (await ask("/v1/models")).json()).data;
  const now = $("model").value;
  $("model").replaceChildren(...models.map(m => new Option(m.id, m.id)));
  if (models.some(m => m.id === now)) $("model").value = now;
  if (!models.length) $("state").textContent = "No worker is there now.";
}

follow();
await list();
plan();
setInterval(() => list().catch(console.warn), 15000);
