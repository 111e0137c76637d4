/** Sorted lists of the names of rows, in which several hold what has not been written yet. */

interface Head {
  readonly names: readonly string[]
  at: number
}

/**
 * Shows the names of sorted lists from `from` to before `to`, in order and each once, until one is not to be passed.
 */
export function walkNames(
  lists: readonly (readonly string[])[],
  from: string,
  to: string,
  pass: (name: string) => boolean,
): void {
  const heads = lists
    .filter(({ length }) => length > 0)
    .map((names) => ({ names, at: firstFrom(names, from) }))
  let lowest = lowestOf(heads, to)
  while (lowest < to && pass(lowest)) {
    for (const head of heads) if (head.names[head.at] === lowest) head.at++
    lowest = lowestOf(heads, to)
  }
}

/** The lowest name that comes next, or `to` if none is below it. */
function lowestOf(heads: readonly Head[], to: string): string {
  let lowest = to
  for (const { names, at } of heads) {
    const name = names[at]
    if (name !== undefined && name < lowest) lowest = name
  }
  return lowest
}

/** The lowest name of sorted lists from `from` to before `to`. */
export function findName(
  lists: readonly (readonly string[])[],
  from: string,
  to: string,
): string | undefined {
  let lowest = to
  for (const names of lists) {
    const name = names[firstFrom(names, from)]
    if (name !== undefined && name < lowest) lowest = name
  }
  return lowest < to ? lowest : undefined
}

/** All names of two sorted lists, each once. */
export function mergeNames(first: readonly string[], second: readonly string[]): readonly string[] {
  if (first.length === 0) return second
  if (second.length === 0) return first
  const merged: string[] = []
  let next = 0
  for (const name of first) {
    for (let other = second[next]; other !== undefined && other < name; other = second[++next])
      merged.push(other)
    if (second[next] === name) next++
    merged.push(name)
  }
  for (; next < second.length; next++) merged.push(second[next] ?? '')
  return merged
}

/** Where the first name stands that is not below this one. */
function firstFrom(sorted: readonly string[], name: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}
