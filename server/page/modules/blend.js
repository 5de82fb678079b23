/** A mixture of styles: [{name, weight}]. Only the ratios of the weights count. */

const FIRST_WEIGHT = 1;

/** What /retimbre/edit wants as its preset: "harp", or "harp 0.7 pan_flute 0.3"; "" for none. */
export function presetOf(mixture) {
  const parts = shares(mixture).filter(({ weight }) => weight > 0);
  if (parts.length < 2) return parts[0]?.name ?? "";
  return parts.map(({ name, weight }) => `${name} ${Math.max(0.01, weight).toFixed(2).replace(/0$/, "")}`).join(" ");
}

/** The same mixture, its weights adding up to 1. */
export function shares(mixture) {
  const sum = mixture.reduce((total, { weight }) => total + weight, 0);
  return mixture.map(({ name, weight }) => ({ name, weight: sum ? weight / sum : 0 }));
}

/** One more style, as strong as the mean of those that are there. */
export function added(mixture, name) {
  if (mixture.some((part) => part.name === name)) return mixture;
  const mean = mixture.reduce((total, { weight }) => total + weight, 0) / mixture.length;
  return [...mixture, { name, weight: mean || FIRST_WEIGHT }];
}

export const removed = (mixture, name) => mixture.filter((part) => part.name !== name);

export const weighted = (mixture, name, weight) =>
  mixture.map((part) => (part.name === name ? { name, weight } : part));
