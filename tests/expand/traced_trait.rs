use throughline::traced;

trait Describe {
    fn text(&self) -> String;

    #[traced]
    fn length(&self) -> usize {
        self.text().len()
    }
}
