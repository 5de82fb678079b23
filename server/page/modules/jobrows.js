/** One row for each job whose end is to come: what it does, how far it is, how long it takes, and a way to stop it. */

import { byId, element, iconButton } from "./dom.js";
import { reportErrors } from "./notices.js";

/** @param {import("./jobs.js").Jobs} jobs */
export function showJobs(jobs) {
  const rows = new Map();
  const draw = () => {
    for (const [id, { bar }] of rows) if (!jobs.active.has(id)) {
      bar.closest("li").remove();
      rows.delete(id);
    }
    for (const job of jobs.active.values()) {
      if (!rows.has(job.id)) rows.set(job.id, newRow(job, jobs));
      update(rows.get(job.id), job);
    }
    document.title = title([...jobs.active.values()][0]);
  };
  jobs.addEventListener("change", draw);
  draw();
}

/** So that the progress is seen while another window is in front. */
const title = (job) => (job ? `${Math.max(0, Math.round(job.fraction * 100))} % · retimbre` : "retimbre");

function newRow(job, jobs) {
  const bar = element("progress", { max: 1, "aria-label": `Progress of ${job.label}` });
  const about = element("span", { class: "job-about", role: "status" });
  byId("jobs").append(element("li", { class: "job", "data-job": job.id },
    element("span", { class: "job-label" }, job.label), about, bar,
    iconButton("close", `Cancel ${job.label}`, () => reportErrors(() => jobs.cancel(job.id)))));
  return { bar, about };
}

function update({ bar, about }, { stage, fraction, eta, queue_position: position }) {
  if (fraction > 0) bar.value = fraction;
  else bar.removeAttribute("value");
  const parts = [position > 0 ? `${position} ahead` : stage,
                 fraction > 0 ? `${Math.round(fraction * 100)} %` : "",
                 eta > 0 ? `${eta < 10 ? eta.toFixed(1) : Math.round(eta)} s left` : ""];
  about.textContent = parts.filter(Boolean).join(" · ");
}
