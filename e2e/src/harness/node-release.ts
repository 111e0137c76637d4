/** A Node of the major version that is asked for: this one, or the one that the npm registry has as a package. */
import { mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runOk } from './run.js'

const RUNNING = {
  major: process.versions.node.split('.')[0] ?? '',
  prefix: dirname(dirname(process.execPath)),
}

/** A folder with `bin/node` and `include/node`. `folder` is made and filled where the running Node is of another major. */
export async function nodeOfMajor(major: string, folder: string): Promise<string> {
  if (major === RUNNING.major) return RUNNING.prefix
  await mkdir(folder, { recursive: true })
  const wanted = `node-linux-${process.arch}@${major}`
  await runOk('npm', ['pack', '--silent', '--pack-destination', folder, wanted])
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? ''
  await runOk('tar', ['-xzf', join(folder, archive), '-C', folder])
  return join(folder, 'package')
}

/** Where the npm of the running Node lies. */
export const NPM_FOLDER: string = join(RUNNING.prefix, 'lib', 'node_modules', 'npm')
