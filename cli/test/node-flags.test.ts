import { readFileSync } from 'node:fs'
import { expect } from 'chai'

const ROOT = new URL('../../../', import.meta.url)

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** What a text gives Node.js before the name of a script. */
function flagsIn(text: string): string | undefined {
  return /\bnode ((?:--\S+ ?)+)/.exec(text)?.[1]?.trim()
}

describe('flags of Node.js', () => {
  it('are those of the first line of the command, in npm start and in the manual', () => {
    const [line = ''] = read('cli/bin/cairn.js').split('\n')
    const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
    const flags = flagsIn(line)
    expect(flags).to.match(/^--/)
    expect(flagsIn(scripts.start)).to.equal(flags)
    expect(flagsIn(read('docs/operations.md'))).to.equal(flags)
  })
})
