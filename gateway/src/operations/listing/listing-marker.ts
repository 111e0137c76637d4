/**
 * Where a listing with markers goes on, as S3 sees it: a marker anywhere in a common prefix stands for all of that
 * prefix, which is not listed again. (The start of version 2 is but a key: what is behind it is listed, rolled up.)
 */
export function skipGroup(
  marker: string,
  { prefix, delimiter }: { readonly prefix: string; readonly delimiter: string },
): string {
  if (delimiter === '' || !marker.startsWith(prefix)) return marker
  const at = marker.indexOf(delimiter, prefix.length)
  return at < 0 ? marker : marker.slice(0, at + delimiter.length)
}
