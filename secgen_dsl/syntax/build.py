"""From lark's parse tree to ours: one method a rule of the grammar."""

from fractions import Fraction
from typing import Any

from lark import Token, Transformer, v_args
from lark.tree import Meta

from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source, Span
from secgen_dsl.syntax import tree

_MOST_DIGITS = 30


def _unquote(token: Token) -> str:
    text = str(token)
    if token.type == "STRING":
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text


def _find(children: list[Any], kind: type[Any]) -> Any:
    return next((child for child in children if isinstance(child, kind)), None)


def _binning(children: list[Any]) -> tree.Binning | None:
    kinds = tree.EqualBins | tree.BinsAt | tree.BinsFrom | tree.LearnedBins
    return next((child for child in children if isinstance(child, kinds)), None)


def _clauses(children: list[Any]) -> tuple[tree.ImportanceClause, ...]:
    return tuple(child for child in children if isinstance(child, tree.ImportanceClause))


@v_args(meta=True)
class TreeBuilder(Transformer[Token, tree.Spec]):
    """Builds the tree of one source."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self.faults: list[Diagnostic] = []

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self._source, 0, 0)
        return Span(self._source, meta.start_pos, meta.end_pos)

    def _number(self, token: Token, span: Span) -> tree.Number:
        """An exact number.  Of a word such as 1e999999999 only the fault is kept."""
        digits, _, exponent = str(token).lower().partition("e")
        if (
            len(digits) > _MOST_DIGITS
            or len(exponent) > 3
            or abs(int(exponent or 0)) > _MOST_DIGITS
        ):
            self.faults.append(
                Diagnostic(
                    "SG114",
                    f"the number has more than {_MOST_DIGITS} digits",
                    span=span,
                    label="too long",
                    next_step="no number of a spec needs so many; round it",
                )
            )
            return tree.Number(Fraction(1), span)
        return tree.Number(Fraction(str(token)), span)

    def start(self, meta: Meta, children: list[Any]) -> tree.Spec:
        return tree.Spec(tuple(children), self._span(meta))

    # ---- pieces ----
    def name(self, meta: Meta, children: list[Token]) -> tree.Name:
        return tree.Name(_unquote(children[0]).strip(), self._span(meta))

    unit = name
    expected = name

    def text(self, meta: Meta, children: list[Token]) -> tree.Text:
        if not str(children[0]).isprintable():
            self.faults.append(
                Diagnostic(
                    "SG207",
                    "a character that cannot be seen stands in a text",
                    span=self._span(meta),
                    label="in this text",
                    next_step="write it again by hand; such characters come along with copied text",
                )
            )
        return tree.Text(_unquote(children[0]).strip(), self._span(meta))

    table_file = text

    def number(self, meta: Meta, children: list[Token]) -> tree.Number:
        return self._number(children[0], self._span(meta))

    def names(self, meta: Meta, children: list[tree.Name]) -> tuple[tree.Name, ...]:
        return tuple(children)

    factors = names
    labels = names
    formats = names

    def numbers(self, meta: Meta, children: list[tree.Number]) -> tuple[tree.Number, ...]:
        return tuple(children)

    def title(self, meta: Meta, children: list[tree.Text]) -> tree.Text:
        return children[0]

    def version(self, meta: Meta, children: list[Token]) -> tree.Version:
        start, end = children[0].start_pos or 0, children[0].end_pos or 0
        number = self._number(children[0], Span(self._source, start, end))
        return tree.Version(number, self._span(meta))

    # ---- who ----
    def _prose(self, kind: str, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return tree.Prose(kind, children[0], self._span(meta))

    def purpose(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("purpose", meta, children)

    def irb_reference(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("reference", meta, children)

    def contact(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("contact", meta, children)

    def cohort(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("cohort", meta, children)

    def inclusion(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("inclusion", meta, children)

    def not_for(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("not_for", meta, children)

    def retention(self, meta: Meta, children: list[tree.Text]) -> tree.Prose:
        return self._prose("retention", meta, children)

    def study(self, meta: Meta, children: list[Any]) -> tree.StudyBlock:
        return tree.StudyBlock(children[0], tuple(children[1:]), self._span(meta))

    def terms_open(self, meta: Meta, children: list[Any]) -> tree.TermsClause:
        return tree.TermsClause("open", None, self._span(meta))

    def terms_consent(self, meta: Meta, children: list[tree.Text]) -> tree.TermsClause:
        return tree.TermsClause("consent", children[0], self._span(meta))

    def terms_controlled(self, meta: Meta, children: list[tree.Text]) -> tree.TermsClause:
        return tree.TermsClause("controlled", children[0], self._span(meta))

    def approval(self, meta: Meta, children: list[tree.Text]) -> tree.ApprovalClause:
        return tree.ApprovalClause(children[0], self._span(meta))

    def source(self, meta: Meta, children: list[tree.Text]) -> tree.SourceClause:
        return tree.SourceClause(children[0], self._span(meta))

    def silo(self, meta: Meta, children: list[Any]) -> tree.SiloLine:
        kinds = tree.TermsClause | tree.ApprovalClause | tree.SourceClause
        clauses = tuple(child for child in children if isinstance(child, kinds))
        return tree.SiloLine(children[0], _find(children, tree.Text), clauses, self._span(meta))

    def silos(self, meta: Meta, children: list[Any]) -> tree.SilosBlock:
        return tree.SilosBlock(children[0], tuple(children[1:]), self._span(meta))

    def helper(self, meta: Meta, children: list[Any]) -> tree.HelperLine:
        return tree.HelperLine(children[0], _find(children, tree.Text), self._span(meta))

    def helpers(self, meta: Meta, children: list[Any]) -> tree.HelpersBlock:
        return tree.HelpersBlock(tuple(children), self._span(meta))

    def tolerate(self, meta: Meta, children: list[tree.Number]) -> tree.Tolerate:
        return tree.Tolerate(children[0], self._span(meta))

    def trust(self, meta: Meta, children: list[tree.Tolerate]) -> tree.TrustBlock:
        return tree.TrustBlock(tuple(children), self._span(meta))

    def key(self, meta: Meta, children: list[tree.Name]) -> tree.PersonKey:
        return tree.PersonKey(children[0], self._span(meta))

    def per(self, meta: Meta, children: list[tree.Name]) -> tree.Name:
        return children[0]

    def samples(self, meta: Meta, children: list[Any]) -> tree.PersonBound:
        per = children[1] if len(children) > 1 else None
        return tree.PersonBound("samples", children[0], per, self._span(meta))

    def people(self, meta: Meta, children: list[tree.Number]) -> tree.PersonBound:
        return tree.PersonBound("people", children[0], None, self._span(meta))

    def in_silos(self, meta: Meta, children: list[tree.Number]) -> tree.PersonBound:
        return tree.PersonBound("silos", children[0], None, self._span(meta))

    def keep(self, meta: Meta, children: list[tree.Name]) -> tree.KeepLine:
        return tree.KeepLine(children[0], self._span(meta))

    def expectation(self, meta: Meta, children: list[Any]) -> tree.ExpectLine:
        column, value, percent = children[:3]
        provenance = children[3] if len(children) > 3 else None
        return tree.ExpectLine(column, value, percent, provenance, self._span(meta))

    def person_line(self, meta: Meta, children: list[tree.ExpectLine]) -> tree.ExpectLine:
        return children[0]

    promise = person_line

    def person(self, meta: Meta, children: list[Any]) -> tree.PersonBlock:
        return tree.PersonBlock(tuple(children), self._span(meta))

    # ---- what ----
    def otherwise(self, meta: Meta, children: list[tree.Name]) -> tree.Name:
        return children[0]

    def category(self, meta: Meta, children: list[Any]) -> tree.CategoryLine:
        otherwise = children[2] if len(children) > 2 else None
        return tree.CategoryLine(children[0], children[1], otherwise, self._span(meta))

    def mutation(self, meta: Meta, children: list[Any]) -> tree.MutationLine:
        return tree.MutationLine(children[0], children[1], self._span(meta))

    def number_column(self, meta: Meta, children: list[Any]) -> tree.NumberLine:
        name, (low, high), binning = children
        return tree.NumberLine(name, low, high, binning, self._span(meta))

    def columns(self, meta: Meta, children: list[Any]) -> tree.ColumnsBlock:
        return tree.ColumnsBlock(tuple(children), self._span(meta))

    def second_file(self, meta: Meta, children: list[Any]) -> tree.PublicFileUnit:
        return tree.PublicFileUnit(children[0], children[1])

    def labelled(self, meta: Meta, children: list[tree.Name]) -> tuple[tree.Name, ...]:
        return tuple(children)

    def aligned(self, meta: Meta, children: list[tree.Name]) -> tree.Name:
        return children[0]

    def public(self, meta: Meta, children: list[Any]) -> tree.PublicLine:
        name, file, unit, *rest = children
        return tree.PublicLine(
            name,
            file,
            unit,
            _find(rest, tree.PublicFileUnit),
            _find(rest, tuple) or (),
            _find(rest, tree.Text),
            _find(rest, tree.Name),
            self._span(meta),
        )

    def sets(self, meta: Meta, children: list[Any]) -> tree.SetsLine:
        provenance = children[2] if len(children) > 2 else None
        return tree.SetsLine(children[0], children[1], provenance, self._span(meta))

    def range(self, meta: Meta, children: list[tree.Number]) -> list[tree.Number]:
        return children

    def gene_file(self, meta: Meta, children: list[tree.Text]) -> tree.Text:
        return children[0]

    def conversion(self, meta: Meta, children: list[Token]) -> tree.Transform:
        counts = children[0].type == "COUNTS"
        return tree.Transform(counts, str(children[0]), self._span(meta))

    def library_column(self, meta: Meta, children: list[tree.Name]) -> tree.Name:
        return children[0]

    def all_genes(self, meta: Meta, children: list[Any]) -> None:
        return None

    def library_size(self, meta: Meta, children: list[Any]) -> tree.LibrarySize:
        return tree.LibrarySize(children[0], self._span(meta))

    def missing_is(self, meta: Meta, children: list[tree.Number]) -> tree.MissingIs:
        return tree.MissingIs(children[0], self._span(meta))

    def panel(self, meta: Meta, children: list[Any]) -> tree.PanelLine:
        low, high = _find(children, list)
        return tree.PanelLine(
            name=children[0],
            unit=children[1],
            transform=_find(children, tree.Transform),
            low=low,
            high=high,
            clauses=tuple(c for c in children if isinstance(c, tree.LibrarySize | tree.MissingIs)),
            genes=_find(children, tuple),
            file=_find(children, tree.Text),
            span=self._span(meta),
        )

    def add_or_remove(self, meta: Meta, children: list[Any]) -> tree.AddOrRemove:
        return tree.AddOrRemove(self._span(meta))

    def epsilon(self, meta: Meta, children: list[tree.Number]) -> tree.BudgetLine:
        return tree.BudgetLine("epsilon", children[0], self._span(meta))

    def delta(self, meta: Meta, children: list[tree.Number]) -> tree.BudgetLine:
        return tree.BudgetLine("delta", children[0], self._span(meta))

    def replace_one(self, meta: Meta, children: list[tree.Number]) -> tree.ReplaceOne:
        return tree.ReplaceOne(children[0], self._span(meta))

    def mechanism(self, meta: Meta, children: list[tree.Name]) -> tree.MechanismLine:
        return tree.MechanismLine(children[0], self._span(meta))

    def learned_limit(self, meta: Meta, children: list[tree.Number]) -> tree.LearnedLimit:
        return tree.LearnedLimit(children[0], self._span(meta))

    def privacy(self, meta: Meta, children: list[Any]) -> tree.PrivacyBlock:
        return tree.PrivacyBlock(tuple(children), self._span(meta))

    def equal_bins(self, meta: Meta, children: list[tree.Number]) -> tree.EqualBins:
        return tree.EqualBins(children[0], self._span(meta))

    def bins_at(self, meta: Meta, children: list[tuple[tree.Number, ...]]) -> tree.BinsAt:
        return tree.BinsAt(children[0], self._span(meta))

    def else_equal(self, meta: Meta, children: list[Any]) -> bool:
        return True

    def bins_from(self, meta: Meta, children: list[Any]) -> tree.BinsFrom:
        return tree.BinsFrom(children[0], children[1], len(children) > 2, self._span(meta))

    def learned_bins(self, meta: Meta, children: list[Any]) -> tree.LearnedBins:
        reference = children[1] if len(children) > 1 else None
        return tree.LearnedBins(children[0], reference, self._span(meta))

    def _importance(self, kind: str, meta: Meta, children: list[Any]) -> tree.ImportanceClause:
        return tree.ImportanceClause(kind, children[0], self._span(meta))

    def weight(self, meta: Meta, children: list[Any]) -> tree.ImportanceClause:
        return self._importance("weight", meta, children)

    def share(self, meta: Meta, children: list[Any]) -> tree.ImportanceClause:
        return self._importance("share", meta, children)

    def error_percent(self, meta: Meta, children: list[Any]) -> tree.ImportanceClause:
        return self._importance("error %", meta, children)

    def error_people(self, meta: Meta, children: list[Any]) -> tree.ImportanceClause:
        return self._importance("error people", meta, children)

    def each(self, meta: Meta, children: list[Any]) -> bool:
        return True

    def factor(self, meta: Meta, children: list[Any]) -> tree.Factor:
        return tree.Factor(children[-1], each=len(children) > 1)

    def marginal(self, meta: Meta, children: list[Any]) -> tree.MarginalLine:
        factors, *rest = children
        return tree.MarginalLine(factors, _binning(rest), _clauses(rest), self._span(meta))

    def within(self, meta: Meta, children: list[Any]) -> tree.Within:
        names = children[1] if len(children) > 1 else None
        return tree.Within(children[0], names, self._span(meta))

    def keep_pairs(self, meta: Meta, children: list[Any]) -> tree.KeepPairs:
        return tree.KeepPairs(children[0], children[1], self._span(meta))

    def pairs(self, meta: Meta, children: list[Any]) -> tree.PairsLine:
        labels = tuple(child for child in children if isinstance(child, tree.Factor))
        panel, *rest = children[len(labels) :]
        within, keep = _find(rest, tree.Within), _find(rest, tree.KeepPairs)
        return tree.PairsLine(
            labels, panel, within, _binning(rest), keep, _clauses(rest), self._span(meta)
        )

    def moments(self, meta: Meta, children: list[Any]) -> tree.MomentsLine:
        panel, labels, *rest = children
        count = rest.pop(0) if isinstance(rest[0], tree.Number) else None
        reference, *rest = rest
        return tree.MomentsLine(panel, labels, count, reference, _clauses(rest), self._span(meta))

    def measure(self, meta: Meta, children: list[Any]) -> tree.MeasureBlock:
        return tree.MeasureBlock(tuple(children), self._span(meta))

    # ---- to whom ----
    def audience(self, meta: Meta, children: list[Any]) -> tree.AudienceName:
        span = self._span(meta)
        if isinstance(children[0], tree.Text):
            return tree.AudienceName(tree.Name("named", span), children[0], span)
        return tree.AudienceName(children[0], None, span)

    def samples_to(self, meta: Meta, children: list[Any]) -> tree.SamplesLine:
        formats = children[2] if len(children) > 2 else ()
        return tree.SamplesLine(children[0], children[1], formats, self._span(meta))

    def measurements_to(
        self, meta: Meta, children: list[tree.AudienceName]
    ) -> tree.MeasurementsLine:
        return tree.MeasurementsLine(children[0], self._span(meta))

    def release(self, meta: Meta, children: list[Any]) -> tree.ReleaseBlock:
        return tree.ReleaseBlock(tuple(children), self._span(meta))

    def sample_file(self, meta: Meta, children: list[Any]) -> tree.SampleFile:
        return tree.SampleFile(children[0], children[1], self._span(meta))

    def simulate(self, meta: Meta, children: list[Any]) -> tree.SimulateBlock:
        return tree.SimulateBlock(tuple(children), self._span(meta))
