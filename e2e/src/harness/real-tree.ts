/** A tree of real files: source, text, binaries, empty files and deep folders. */
import { mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runOk } from './run.js'

/** The installed packages of this checkout. */
const NODE_MODULES = fileURLToPath(new URL('../../../../node_modules', import.meta.url))

/** Copies installed packages, one after the other and again if need be, until there are enough files. No links. */
export async function makeTree(tree: string, filesMin: number): Promise<void> {
  const packages = (await readdir(NODE_MODULES)).filter((name) => !name.startsWith('.') && name !== '@cairn')
  let files = 0
  for (let index = 0; files < filesMin; index++) {
    const name = packages[index % packages.length] ?? ''
    const target = join(tree, `copy ${Math.floor(index / packages.length)}`, name)
    await mkdir(dirname(target), { recursive: true })
    await runOk('cp', ['-r', '--no-dereference', join(NODE_MODULES, name), target])
    await runOk('find', [target, '-type', 'l', '-delete'])
    files += Number((await runOk('sh', ['-c', 'find "$1" -type f | wc -l', 'sh', target])).stdout.toString())
  }
}
