/** A sentence of the catalogs: what stands in backticks is a name or a value. */
export function Rich({ text }: { text: string }) {
  return text.split(/`([^`]+)`/).map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));
}
