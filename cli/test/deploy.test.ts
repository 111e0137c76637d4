import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parseAllDocuments } from 'yaml'
import { startCairn } from '../src/index.js'
import { SETTINGS } from '../src/settings.js'

const ROOT = new URL('../../../', import.meta.url)

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** Every file under deploy/, and compose.yaml and Dockerfile beside it. */
function deployFiles(): string[] {
  const below = readdirSync(new URL('deploy/', ROOT), { recursive: true, withFileTypes: true })
  const files = below.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`)
  return [...files.map((file) => file.slice(ROOT.pathname.length)), 'compose.yaml', 'Dockerfile']
}

describe('deployment files', () => {
  it('name only settings that there are', () => {
    const known = new Set<string>()
    for (const { variable, secret } of Object.values(SETTINGS)) {
      known.add(variable)
      if (secret) known.add(`${variable}_FILE`)
    }
    // What compose.yaml itself reads.
    for (const own of ['CAIRN_IMAGE', 'CAIRN_PORT_1', 'CAIRN_PORT_2']) known.add(own)
    const unknown = deployFiles().flatMap((file) =>
      (read(file).match(/CAIRN_[A-Z0-9_]+/g) ?? [])
        .filter((name) => !known.has(name))
        .map((name) => `${file}: ${name}`),
    )
    expect(unknown).to.deep.equal([])
  })

  it('are proper YAML', () => {
    for (const file of deployFiles().filter((name) => /\.ya?ml$/.test(name))) {
      for (const document of parseAllDocuments(read(file), { merge: true })) {
        expect(document.errors, file).to.deep.equal([])
      }
    }
  })

  it('draw only metrics that Cairn, etcd or Node have', async () => {
    const drawn = new Set(read('deploy/monitoring/grafana/cairn.json').match(/\b(?:cairn|s3)_[a-z0-9_]+/g))
    const server = await startCairn({ port: 0 })
    try {
      const text = await (await fetch(`${server.endpoint}/-/metrics`)).text()
      const shown = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name))
      const missing = [...drawn].filter((name) => !shown.has(name.replace(/_bucket$/, '')))
      expect(missing).to.deep.equal([])
      expect(drawn.size).to.be.greaterThan(20)
    } finally {
      await server.close()
    }
  })
})
