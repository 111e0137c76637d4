import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { SETTINGS } from '../src/settings.js'

describe('README', () => {
  it('names every setting with its default and meaning', () => {
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
    const table = readme.slice(readme.indexOf('<!-- settings'), readme.indexOf('<!-- end of settings'))
    const rows = Object.values(SETTINGS).map(
      ({ variable, fallbackText, describe }) => `| \`${variable}\` | ${fallbackText} | ${describe} |`,
    )
    expect(table.trim().split('\n').slice(3)).to.deep.equal(rows)
  })
})
