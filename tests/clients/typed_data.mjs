// The typed data of typed_data.json as JavaScript has it: whole numbers beyond 2^53 are BigInt.
import { readFileSync } from "node:fs";

const read = (type, value, types) => {
  const list = /^(.*)\[\d*\]$/.exec(type);
  if (list) return value.map((item) => read(list[1], item, types));
  if (types[type]) return fields(type, value, types);
  return /^u?int/.test(type) ? BigInt(value) : value;
};
const fields = (type, value, types) =>
  Object.fromEntries(types[type].map(({ name, type }) => [name, read(type, value[name], types)]));

export const typedData = (wallet) => {
  const text = readFileSync(new URL("typed_data.json", import.meta.url), "utf8");
  const all = JSON.parse(text.replaceAll("$wallet", wallet));
  return Object.entries(all).map(([name, data]) => {
    const message = fields(data.primaryType, data.message, data.types);
    return [name, { ...data, message }];
  });
};
