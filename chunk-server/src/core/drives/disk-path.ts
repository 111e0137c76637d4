import { CairnError } from '@cairn/protocol'

/** Longest name of a file or folder on a drive, in characters. */
const NAME_CHARACTERS_MAX = 128
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/** Returns `path` if it is relative, stays inside and is at most one folder deep; else `InvalidArgument`. */
export function checkedPath(path: string): string {
  const names = path.split('/')
  const fits = names.every((name) => NAME.test(name) && name.length <= NAME_CHARACTERS_MAX)
  if (!fits || names.length > 2)
    throw new CairnError('InvalidArgument', `not a path on a drive: ${path.slice(0, 200)}`)
  return path
}

/** As `checkedPath`, for folders: the empty path is the drive's own folder. */
export function checkedFolder(path: string): string {
  return path === '' ? path : checkedPath(path)
}

/** The folder part of a path; empty for the drive's own folder. */
export function folderOfPath(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}
